"""Shows the topics that LDA has learned: prints their words, draws a heat map.

  python experiments/topics.py --load=lda-bars
  python experiments/topics.py --workdir=runs/lda-bars

A topic of the bars, whose words are pixels, is drawn as the picture that it is.
"""

import pathlib

import figures
import numpy as np
import origin
from absl import flags

from gen1shot import commandline
from gen1shot.data import bars
from gen1shot.errors import InputError
from gen1shot.progress import say

FLAGS = flags.FLAGS
flags.DEFINE_integer('words', 8, 'shown of each topic', lower_bound=1)
flags.DEFINE_string('out', 'topics.png', 'the picture')


def main() -> None:
  trained = origin.load_trained()
  if not hasattr(trained.module, 'topic_words'):
    raise InputError(f'topics are of model lda; got {trained.config.model}')
  assert trained.vocabulary is not None  # of words
  phi = np.asarray(
    trained.module.apply({'params': trained.params}, method='topic_words')
  )
  ranked = np.argsort(-phi, axis=1)[:, : FLAGS.words]
  labels = [[trained.vocabulary.words[word] for word in row] for row in ranked]
  for topic, words in enumerate(labels):
    say(f'{topic:3}  {" ".join(words)}')
  if trained.config.dataset == 'bars':
    figure = figures.pictures(phi.reshape(-1, bars.SIDE, bars.SIDE))
  else:
    figure = figures.topics(phi, labels)
  out = pathlib.Path(FLAGS.out).expanduser()
  figures.save(figure, out)
  say(f'topics: {out}')


if __name__ == '__main__':
  commandline.run(main)
