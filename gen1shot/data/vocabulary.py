"""Words of a text, and their numbers."""

import collections
import contextlib
import dataclasses
import functools
import json
import re
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np

from gen1shot.errors import InputError

UNKNOWN = '<unk>'  # stands for every word that has no number of its own

_TOKEN = re.compile(
  rf"{UNKNOWN}|[^\W\d_]+(?:'[^\W\d_]+)*|\d+|[^\w\s]|_"  # in this order
)


def tokenise(text: str) -> list[str]:
  """Splits a text in lower-case words, numbers and punctuation.

  A word is a run of letters, with the apostrophes inside it ("don't", with a
  straight apostrophe also where the text has a curly one); a number is a run
  of digits, kept as it is; any other character that is not white space is a
  token of its own, also the marks that some scripts combine letters with, for
  which this is no tokenizer. UNKNOWN is a word, so that texts which were
  prepared with it, and decoded ones, can be read.
  """
  text = unicodedata.normalize('NFC', text.replace('\u2019', "'").lower())
  return _TOKEN.findall(text)


@dataclasses.dataclass(frozen=True)
class Vocabulary:
  """V different words; the number of a word is its place among them."""

  words: tuple[str, ...]
  counts: tuple[int, ...]  # how often each occurs in the training part

  @classmethod
  def build(
    cls, documents: Iterable[Sequence[str]], size: int, least: int
  ) -> 'Vocabulary':
    """UNKNOWN, then the most frequent words, ties in alphabetical order.

    Args:
      documents: Tokens of each document of the training part.
      size: How many words there may be, UNKNOWN aside.
      least: A word that occurs less often is unknown.
    """
    counts = collections.Counter(
      token for document in documents for token in document
    )
    unknown = counts.pop(UNKNOWN, 0)
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    words = [word for word in ranked[:size] if counts[word] >= least]
    known = [counts[word] for word in words]
    unknown += counts.total() - sum(known)
    return cls((UNKNOWN, *words), (unknown, *known))

  def __len__(self) -> int:
    return len(self.words)

  @functools.cached_property
  def _numbers(self) -> dict[str, int]:
    return {word: number for number, word in enumerate(self.words)}

  def encode(self, tokens: Iterable[str]) -> np.ndarray:
    """The numbers of words, int32 [n]; without one, that of UNKNOWN.

    Raises:
      InputError: a word is not in the vocabulary, nor is UNKNOWN.
    """
    unknown = self._numbers.get(UNKNOWN)
    numbers = []
    for token in tokens:
      number = self._numbers.get(token, unknown)
      if number is None:
        raise InputError(
          f'words must be in the vocabulary, {self.words[0]} to '
          f'{self.words[-1]}; got {token!r}'
        )
      numbers.append(number)
    return np.array(numbers, np.int32)

  def decode(self, numbers: Iterable[int]) -> str:
    """The words of numbers as a text; `tokenise` finds the same words in it."""
    text = ' '.join(self.words[number] for number in numbers)
    text = re.sub(r' (?=[.,;:!?)\]}])', '', text)
    return re.sub(r'(?<=[(\[{]) ', '', text)

  def to_json(self) -> str:
    """The vocabulary as one line that `from_json` reads."""
    return json.dumps(dataclasses.asdict(self))

  @classmethod
  def from_json(cls, text: str) -> 'Vocabulary':
    """Reads what `to_json` wrote.

    Raises:
      InputError: `text` is no vocabulary.
    """
    with contextlib.suppress(ValueError, RecursionError, KeyError, TypeError):
      fields = json.loads(text)
      words, counts = fields['words'], fields['counts']
      if (
        type(words) is type(counts) is list
        and len(words) == len(counts) == len(set(words)) > 0
        and all(type(word) is str for word in words)
        and all(type(count) is int and count >= 0 for count in counts)
      ):
        return cls(tuple(words), tuple(counts))
    raise InputError(
      'a vocabulary must be JSON of different words and a count of each; got '
      f'{text[:40]!r}'
    )
