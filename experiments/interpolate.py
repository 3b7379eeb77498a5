"""Goes from one held-out text to another through the latent space.

  python experiments/interpolate.py --workdir=runs/neural_lm-words

Prints two texts, and between them the likeliest text of points on the line from
the mean of one posterior to that of the other.
"""

import jax
import jax.numpy as jnp
import numpy as np
import origin
from absl import flags

from gen1shot import commandline, compilation
from gen1shot.data.episodes import EpisodeSpec, sample_episodes
from gen1shot.errors import InputError
from gen1shot.progress import say

FLAGS = flags.FLAGS
flags.DEFINE_string('data_dir', None, 'where the data are, if they moved')
flags.DEFINE_enum('part', 'test', ['test', 'valid', 'train'], 'of the data set')
flags.DEFINE_integer('pairs', 3, 'of texts', lower_bound=1)
flags.DEFINE_integer('points', 5, 'on each line', lower_bound=2)
flags.DEFINE_integer('length', 12, 'words of a text', lower_bound=1)
flags.DEFINE_integer(
  'seed', 0, 'of the texts', lower_bound=0, upper_bound=2**31 - 1
)


def main() -> None:
  compilation.enable_cache()
  trained = origin.load_trained()
  if not hasattr(trained.module, 'decode'):
    raise InputError(
      'texts are decoded by model neural_lm; got ' + trained.config.model
    )
  source = trained.load_source(FLAGS.data_dir)
  vocabulary = trained.vocabulary
  assert vocabulary is not None  # of words
  texts = sample_episodes(
    jax.random.key(FLAGS.seed),
    getattr(source, FLAGS.part),
    EpisodeSpec(2 * FLAGS.pairs, FLAGS.length),
  )

  def ask(method, *args):
    return trained.module.apply(
      {'params': trained.params}, *args, method=method
    )

  embed = jax.vmap(lambda words, mask: ask('embed', words, mask))
  ends = embed(texts.objects, texts.mask).mean
  share = jnp.linspace(0, 1, FLAGS.points)[:, None]
  words, mask = jax.device_get((texts.objects, texts.mask))
  for a, b in 2 * np.arange(FLAGS.pairs)[:, None] + np.arange(2):
    line = (1 - share) * ends[a] + share * ends[b]  # [points, D]
    say(f'\n{vocabulary.decode(words[a][mask[a]])}')
    for text in np.asarray(ask('decode', line, FLAGS.length)):
      say(f'  {vocabulary.decode(text)}')
    say(vocabulary.decode(words[b][mask[b]]))


if __name__ == '__main__':
  commandline.run(main)
