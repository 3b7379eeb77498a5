"""From texts to documents: paragraphs, three parts, a vocabulary."""

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from gen1shot.data import splits
from gen1shot.data.vocabulary import Vocabulary, tokenise
from gen1shot.errors import InputError

MAX_WORDS = 10_000  # in the vocabulary, the unknown one aside
MIN_COUNT = 2  # in the training part; rarer words are unknown

_BLANK_LINES = re.compile(r'\n\s*\n')


@dataclasses.dataclass(frozen=True)
class Corpus:
  """Documents in three parts."""

  parts: Mapping[str, Sequence[np.ndarray]]  # part -> documents, int32 [n_i]
  vocabulary: Vocabulary


def make(texts: Iterable[str], seed: int, where: str) -> Corpus:
  """Makes each paragraph of some texts a document.

  Paragraphs stand between blank lines. One without a token is dropped, and so
  is one that has the same tokens as another: what is tested on was never
  trained on. A tenth of the documents is for testing, a tenth for validation,
  at least one each; the seed and the tokens of a document decide. The
  vocabulary is that of the training part.

  Args:
    texts: The texts.
    seed: Draws the split.
    where: For the messages of errors, what holds the texts.

  Raises:
    InputError: fewer than 3 documents, or no word that occurs twice.
  """
  documents = {
    ' '.join(tokenise(paragraph))
    for text in texts
    for paragraph in _BLANK_LINES.split(text)
  } - {''}
  if len(documents) < 3:
    raise InputError(
      f'{where} must hold at least 3 different paragraphs, with a blank line '
      f'between, to split in train, valid and test; got {len(documents)}'
    )
  parts = {
    part: [document.split() for document in members]
    for part, members in splits.tenths(documents, seed).items()
  }
  vocabulary = Vocabulary.build(parts['train'], MAX_WORDS, MIN_COUNT)
  if len(vocabulary) == 1:
    raise InputError(
      f'{where} must hold words that occur {MIN_COUNT} times in the '
      f'{len(parts["train"])} paragraphs of the training part; got none'
    )
  return Corpus(
    {
      part: [vocabulary.encode(document) for document in members]
      for part, members in parts.items()
    },
    vocabulary,
  )
