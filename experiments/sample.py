"""Draws new exemplars of a concept shown by a few images.

  python experiments/sample.py --workdir=runs/statistician-omniglot
  python experiments/sample.py --workdir=... --support=a.png,b.png
  python experiments/sample.py --load=gmn-omniglot --support=a.png,b.png

The sheet has a row for each concept: support | samples. With --growing it has a
row for each number of examples, of one episode that takes turns among --classes
concepts: the first t images | samples given them. --film adds an animation of
the first row, for the models that paint in steps. Sets of vectors are drawn as
one picture each; of words the sheet is a text: the first --shots words of a
passage, then as many by the model.
"""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import origin
from absl import flags

from gen1shot import commandline, compilation, plotting, sheets
from gen1shot.data import folder as image_files
from gen1shot.data.episodes import (
  Dataset,
  EpisodeSpec,
  sample_episodes,
  sample_tasks,
)
from gen1shot.errors import InputError
from gen1shot.evaluation.generation import make_sampler
from gen1shot.nn.canvas import Stroke

_MOST = 10_000  # rows or columns: more make no picture

FLAGS = flags.FLAGS
flags.DEFINE_list('support', None, 'image files of one concept')
flags.DEFINE_enum('part', 'test', ['test', 'valid', 'train'], 'else, of where')
flags.DEFINE_string('data_dir', None, 'where the data are, if they moved')
flags.DEFINE_integer(
  'rows', 8, 'concepts of that part', lower_bound=1, upper_bound=_MOST
)
flags.DEFINE_integer('shots', 5, 'images of each; 0: none', lower_bound=0)
flags.DEFINE_bool('growing', False, 'a row for each number of examples')
flags.DEFINE_integer('classes', 1, 'growing: of the episode', lower_bound=1)
flags.DEFINE_integer(
  'num_samples', 20, 'new ones of each', lower_bound=1, upper_bound=_MOST
)
flags.DEFINE_integer(
  'seed', 0, 'of concepts and samples', lower_bound=0, upper_bound=2**31 - 1
)
flags.DEFINE_string('out', None, 'the sheet; default sheet.png, or .txt')
flags.DEFINE_string('film', None, 'a GIF of the first row, step by step')

_WORDS = 20  # of a text, where there is no support to be as long as


def main() -> None:
  compilation.enable_cache()
  trained = origin.load_trained()
  kind = trained.data.kind
  if kind != 'images' and (FLAGS.support or FLAGS.growing):
    raise InputError(
      f'support and growing are for images; got {trained.config.dataset}, of '
      f'{kind}'
    )
  concept_key, sample_key = jax.random.split(jax.random.key(FLAGS.seed))
  if FLAGS.support:
    shape = trained.data.object_shape
    support = jnp.asarray(image_files.read_images(FLAGS.support, shape))[None]
    mask, vocabulary = None, None
  else:
    source = trained.load_source(FLAGS.data_dir)
    support, mask = _draw(getattr(source, FLAGS.part), concept_key)
    vocabulary = source.vocabulary
  if FLAGS.growing:
    objects = support.shape[1]
    support = jnp.tile(support[:1], (objects + 1, 1, 1, 1, 1))
    mask = jnp.tri(objects + 1, objects, -1, dtype=bool)
    support = jnp.where(mask[..., None, None, None], support, 0.0)
  out = FLAGS.out or 'sheet' + sheets.SUFFIXES[kind]
  if FLAGS.film == out:
    raise InputError(f'film must be another file than out; got {FLAGS.film}')
  if FLAGS.film and not hasattr(trained.module, 'paint'):
    raise InputError(
      f'film is for models that paint in steps; got {trained.config.model}'
    )
  sampler = make_sampler(
    trained.module, FLAGS.num_samples, sheets.METHODS[kind]
  )
  samples = sampler(trained.params, support, sample_key, mask)
  out = pathlib.Path(out).expanduser()
  shown = jax.device_get((support, samples, mask))
  sheets.save(out, kind, *shown, vocabulary)
  print(f'sample sheet: {out}')
  if FLAGS.film:
    painter = make_sampler(trained.module, FLAGS.num_samples, 'paint')
    strokes = painter(trained.params, support, sample_key, mask)
    _film(jax.tree.map(lambda leaf: np.asarray(leaf[0]), strokes))


def _film(strokes: Stroke) -> None:
  out = pathlib.Path(FLAGS.film).expanduser()
  plotting.save_film(plotting.film(strokes.mean, strokes.box), out)
  print(f'film: {out}')


def _draw(
  dataset: Dataset, key: jax.Array
) -> tuple[jax.Array, jax.Array | None]:
  """Episodes [rows, shots, *shape] and their mask [rows, shots].

  One that mixes classes when growing.
  """
  if not FLAGS.growing:
    words = dataset.kind == 'words'
    blank = _WORDS if words else 1  # objects, where there are no shots
    spec = EpisodeSpec(FLAGS.rows, FLAGS.shots or blank)
    episodes = sample_episodes(key, dataset, spec)
    if words:
      # Texts are as long as the support, of which none may count.
      return episodes.objects, episodes.mask & (FLAGS.shots > 0)
    return episodes.objects[:, : FLAGS.shots], None
  each = -(-FLAGS.shots // FLAGS.classes)
  support = sample_tasks(key, dataset, 1, FLAGS.classes, each).support
  # [1, ways, shots, ...]: the classes take turns.
  turns = support.swapaxes(1, 2).reshape(1, -1, *dataset.object_shape)
  return turns[:, : FLAGS.shots], None


if __name__ == '__main__':
  commandline.run(main)
