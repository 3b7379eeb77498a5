"""Draws clouds of points with the few that summarise each.

  python experiments/summaries.py --workdir=runs/statistician-points

The points that are kept, in red, are those whose context stays nearest to that
of the whole cloud; above each cloud there are as many new points given it.
"""

import pathlib

import figures
import jax
import numpy as np
import origin
from absl import flags

from gen1shot import commandline, compilation
from gen1shot.data.episodes import EpisodeSpec, sample_episodes
from gen1shot.errors import InputError
from gen1shot.evaluation.generation import make_sampler
from gen1shot.evaluation.summary import make_summary

FLAGS = flags.FLAGS
flags.DEFINE_enum('part', 'test', ['test', 'valid', 'train'], 'of the data set')
flags.DEFINE_string('data_dir', None, 'where the data are, if they moved')
flags.DEFINE_integer('clouds', 16, 'how many', lower_bound=1)
flags.DEFINE_integer('size', 6, 'points kept of each', lower_bound=1)
flags.DEFINE_integer(
  'seed', 0, 'of the clouds', lower_bound=0, upper_bound=2**31 - 1
)
flags.DEFINE_string('out', 'summaries.png', 'the picture')


def main() -> None:
  compilation.enable_cache()
  trained = origin.load_trained()
  if trained.data.object_shape != (2,):
    raise InputError(
      'summaries are drawn of points in the plane; got dataset '
      f'{trained.config.dataset}'
    )
  dataset = getattr(trained.load_source(FLAGS.data_dir), FLAGS.part)
  spec = EpisodeSpec(FLAGS.clouds, trained.config.episode_length)
  cloud_key, sample_key = jax.random.split(jax.random.key(FLAGS.seed))
  points = sample_episodes(cloud_key, dataset, spec).objects
  summarise = make_summary(trained.module, FLAGS.size)
  kept = np.stack([summarise(trained.params, cloud) for cloud in points])
  sampler = make_sampler(trained.module, points.shape[1])
  samples = np.asarray(sampler(trained.params, points, sample_key))
  out = pathlib.Path(FLAGS.out).expanduser()
  figures.save(figures.summaries(np.asarray(points), kept, samples), out)
  print(f'summaries: {out}')


if __name__ == '__main__':
  commandline.run(main)
