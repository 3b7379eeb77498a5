"""Bars: a corpus that latent Dirichlet allocation has generated.

Griffiths & Steyvers 2004, Finding scientific topics. The words are the pixels
of a small picture, a topic is uniform over one row or one column of them. No
files, no network.
"""

from typing import Final

import numpy as np

from gen1shot.data.corpus import Corpus
from gen1shot.data.vocabulary import Vocabulary

SIDE = 5  # pixels
ALPHA = 1.0  # of the Dirichlet distribution of a document's topics
DOCUMENT_LENGTH = 100  # words
DOCUMENTS: Final = {'train': 2000, 'valid': 200, 'test': 400}
_SEED = 0

_PIXELS = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
_BARS = np.concatenate([_PIXELS, _PIXELS.T])  # the words of each topic
# float64 [10, 25], the distribution of the words of each topic.
TOPICS = np.eye(SIDE * SIDE)[_BARS].mean(1)


def load() -> Corpus:
  """The corpus; always the same."""
  parts = {
    part: sample(np.random.default_rng([_SEED, i]), count)
    for i, (part, count) in enumerate(DOCUMENTS.items())
  }
  counts = np.bincount(parts['train'].ravel(), minlength=SIDE * SIDE)
  words = [f'r{row}c{column}' for row, column in np.ndindex(SIDE, SIDE)]
  return Corpus(
    {part: list(documents) for part, documents in parts.items()},
    Vocabulary(tuple(words), tuple(counts.tolist())),
  )


def sample(rng: np.random.Generator, count: int) -> np.ndarray:
  """Draws documents: int32 [count, DOCUMENT_LENGTH] in [0, 25).

  The topics of a document are mixed by a Dirichlet distribution; each word
  takes a topic, then one of its words.
  """
  mixtures = rng.dirichlet(np.full(len(TOPICS), ALPHA), count)
  shape = count, DOCUMENT_LENGTH
  # The first topic whose cumulated share is above a uniform number.
  cumulated = mixtures.cumsum(1)[:, None, :-1]
  topics = (rng.random((*shape, 1)) >= cumulated).sum(-1)
  return _BARS[topics, rng.integers(SIDE, size=shape)].astype(np.int32)
