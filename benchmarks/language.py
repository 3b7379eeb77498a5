"""Perplexities that a language model has to beat: n-grams on the same words.

  python -m benchmarks.corpus --out=corpus
  python -m benchmarks.language --data_dir=corpus

The n-gram models of NLTK (`pip install nltk` first), interpolated with absolute
discounting (Ney et al. 1994), fitted to the training part of --dataset=words
and scored on its test part. The discount is chosen on the validation part. A
document begins with a start symbol, and its end is not predicted: as in the
models of the zoo.
"""

import itertools
import math
from collections.abc import Iterable, Sequence

from absl import flags

from benchmarks.installed import check_installed
from gen1shot import commandline
from gen1shot.data import words
from gen1shot.progress import say

FLAGS = flags.FLAGS
flags.DEFINE_string('data_dir', None, 'folder of the texts')
flags.DEFINE_integer('seed', 0, 'of the split', lower_bound=0)
flags.DEFINE_integer('length', 40, 'words of a passage', lower_bound=1)
flags.mark_flag_as_required('data_dir')

DISCOUNTS = (0.5, 0.7, 0.8, 0.9)
_START = '<s>'

Passages = Sequence[Sequence[str]]


def passages(documents: Iterable[Sequence[int]], length: int) -> Passages:
  """Documents in pieces of at most so many words, named by their numbers."""
  return [
    [str(word) for word in document[first : first + length]]
    for document in documents
    for first in range(0, len(document), length)
  ]


def fit(train: Passages, order: int, discount: float):
  """The n-gram model of NLTK with contexts of `order` - 1 words."""
  from nltk.lm import AbsoluteDiscountingInterpolated
  from nltk.util import everygrams

  padded = [[_START] * (order - 1) + list(text) for text in train]
  # The start symbol is given, never predicted.
  grams = (
    [gram for gram in everygrams(text, max_len=order) if gram[-1] != _START]
    for text in padded
  )
  model = AbsoluteDiscountingInterpolated(order, discount=discount)
  model.fit(grams, vocabulary_text=itertools.chain.from_iterable(padded))
  return model


def perplexity(model, texts: Passages) -> float:
  """exp of the mean nats a word."""
  bits, count = 0.0, 0
  for text in texts:
    padded = [_START] * (model.order - 1) + list(text)
    for i in range(model.order - 1, len(padded)):
      bits -= model.logscore(padded[i], padded[i - model.order + 1 : i])
      count += 1
  return 2 ** (bits / count)


def main() -> None:
  check_installed(nltk='nltk')
  corpus = words.load(FLAGS.data_dir, FLAGS.seed)
  parts = {
    part: passages(documents, FLAGS.length)
    for part, documents in corpus.parts.items()
  }
  for order in (2, 3):
    best, discount = math.inf, 0.0
    for trial in DISCOUNTS:
      found = perplexity(fit(parts['train'], order, trial), parts['valid'])
      if found < best:
        best, discount = found, trial
    test = perplexity(fit(parts['train'], order, discount), parts['test'])
    say(f'{order}-gram, discount {discount}: perplexity {test:.1f}')


if __name__ == '__main__':
  commandline.run(main)
