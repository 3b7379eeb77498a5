"""Draws the contexts of held-out sets of reals.

  python experiments/contexts.py --workdir=runs/statistician-distributions

Three panels of the same points, coloured by the family, the mean and the
variance of the distribution that a set was drawn from.
"""

import pathlib

import figures
import jax
import numpy as np
import origin
from absl import flags

from gen1shot import commandline, compilation
from gen1shot.data.episodes import EpisodeSpec
from gen1shot.data.reals import Reals
from gen1shot.errors import InputError
from gen1shot.evaluation.contexts import embed_sets

FLAGS = flags.FLAGS
flags.DEFINE_enum('part', 'test', ['test', 'valid', 'train'], 'of the data set')
flags.DEFINE_integer('sets', 1000, 'how many', lower_bound=2)
flags.DEFINE_integer(
  'seed', 0, 'of the sets', lower_bound=0, upper_bound=2**31 - 1
)
flags.DEFINE_string('out', 'contexts.png', 'the picture')


def main() -> None:
  compilation.enable_cache()
  trained = origin.load_trained()
  dataset = getattr(trained.load_source(None), FLAGS.part)
  if not isinstance(dataset, Reals):
    raise InputError(
      'contexts are drawn of dataset distributions; got '
      f'{trained.config.dataset}'
    )
  q, class_ids = embed_sets(
    trained.module,
    trained.params,
    dataset,
    EpisodeSpec(FLAGS.sets, trained.config.episode_length),
    jax.random.key(FLAGS.seed),
  )
  law = jax.vmap(dataset.law)(class_ids)
  out = pathlib.Path(FLAGS.out).expanduser()
  figures.save(figures.contexts(np.asarray(q.mean), law), out)
  print(f'contexts: {out}')


if __name__ == '__main__':
  commandline.run(main)
