"""Who goes where: seeded orders that are the same on every machine."""

import hashlib
from collections.abc import Iterable


def shuffled(names: Iterable[str], seed: int) -> list[str]:
  """The names in a random order that depends on nothing but them and `seed`.

  They are sorted by a hash of seed and name: the stream of a random generator
  may change with the library's version, and a published split may not.
  """

  def rank(name: str) -> bytes:
    return hashlib.sha256(f'{seed}/{name}'.encode()).digest()

  return sorted(set(names), key=rank)


def tenths(names: Iterable[str], seed: int) -> dict[str, list[str]]:
  """Part -> names: a tenth each for 'valid' and 'test', the rest to train.

  At least one each; there must be 3 different names or more.
  """
  order = shuffled(names, seed)
  held = tenth(len(order))
  return {
    'train': order[2 * held :],
    'valid': order[held : 2 * held],
    'test': order[:held],
  }


def tenth(count: int) -> int:
  """How many of `count` things to set aside: 10 %, at least one."""
  return max(1, round(count / 10))
