"""Omniglot (Lake et al. 2015): 1,623 characters of 50 alphabets, 28x28.

Binary, ink = 1, 20 drawers a character.
"""

import pathlib
import re

import numpy as np

from gen1shot.data import npz, splits
from gen1shot.errors import InputError, check_choice

SPLITS = ('30-20', '45-5', '40-10', 'weak')
WEAK_TEST = 3  # characters of each alphabet

_TRAIN, _TEST = 'train_small.npz', 'test_small.npz'
_PREFIXES = {_TRAIN: 'images_background', _TEST: 'images_evaluation'}
_LAYOUT = (
  f'keys images_background/<Alphabet>/characterNN, in {_TEST} '
  'images_evaluation/<Alphabet>/characterNN, each uint8 [n, 784] of 0 for ink '
  'and 255 for paper'
)


def load(
  data_dir: str | None, split: str, seed: int
) -> dict[str, dict[str, np.ndarray]]:
  """Reads Omniglot and splits its characters.

  '30-20' trains on the 30 background alphabets and tests on the 20 evaluation
  alphabets, as its authors do. '45-5' and '40-10' draw the test alphabets at
  random from all 50. 'weak' tests on 3 characters of each alphabet. A tenth of
  the training alphabets, in 'weak' one character of each, is for validation.

  Args:
    data_dir: Folder of train_small.npz and test_small.npz, else the folder in
      which TFDS keeps its data sets; None is the default place of TFDS.
    split: One of SPLITS.
    seed: Draws the validation part, and the test part unless '30-20'.

  Returns:
    Part ('train', 'valid', 'test') -> '<Alphabet>/characterNN' -> uint8
    [n, 28, 28, 1] of 0 and 1; the parts have no class in common.

  Raises:
    InputError: an unknown split, or no data that can be read.
  """
  check_choice('split', split, SPLITS)
  background, evaluation = _read(data_dir)
  characters = {**background, **evaluation}
  names = _split(set(background), set(evaluation), split, seed)
  return {
    part: {name: characters[name] for name in sorted(names[part])}
    for part in ('train', 'valid', 'test')
  }


def families(
  parts: dict[str, dict[str, np.ndarray]],
) -> dict[str, dict[str, np.ndarray]]:
  """The alphabets as classes: what `load` gives, characters put together.

  For the third task of Rezende et al. 2016, new characters of a family that is
  shown by some of its own.
  """
  return {
    part: {
      alphabet: np.concatenate(
        [characters[name] for name in sorted(_of(set(characters), {alphabet}))]
      )
      for alphabet in sorted(_alphabets(set(characters)))
    }
    for part, characters in parts.items()
  }


def _read(
  data_dir: str | None,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
  pair = npz.find_pair(data_dir, _TRAIN, _TEST, _LAYOUT)
  if pair is not None:
    return _read_npz(pair[0]), _read_npz(pair[1])
  from gen1shot.data import omniglot_tfds, tfds_builder

  parts = tfds_builder.fetch(
    omniglot_tfds.Omniglot28, data_dir, npz.instead(_TRAIN, _TEST)
  )
  return parts['train'], parts['test']


def _read_npz(path: pathlib.Path) -> dict[str, np.ndarray]:
  pattern = re.compile(_PREFIXES[path.name] + r'/([^/]+/character\d\d)')
  characters = {}
  for key, array in npz.read_arrays(path, _LAYOUT).items():
    match = pattern.fullmatch(key)
    if (
      match is None
      or array.dtype != np.uint8
      or array.shape[1:] != (784,)
      or not len(array)
      or not np.isin(array, (0, 255)).all()
    ):
      raise InputError(
        f'{path} must hold {_LAYOUT}; got key {key!r}, '
        f'{array.dtype} {list(array.shape)}'
      )
    characters[match[1]] = (array == 0).astype(np.uint8).reshape(-1, 28, 28, 1)
  return characters


def _split(
  background: set[str], evaluation: set[str], split: str, seed: int
) -> dict[str, set[str]]:
  """Part -> its characters."""
  old, new = _alphabets(background), _alphabets(evaluation)
  if (len(old), len(new), len(old | new)) != (30, 20, 50):
    raise InputError(
      'Omniglot must have 30 background alphabets and 20 evaluation alphabets, '
      f'all different; got {len(old)} and {len(new)}, {len(old | new)} '
      'different ones'
    )
  characters = background | evaluation
  if split == 'weak':
    valid, test = _held_out(characters, seed)
  else:
    order = splits.shuffled(old | new, seed)
    chosen = new if split == '30-20' else set(order[: int(split[3:])])
    rest = [alphabet for alphabet in order if alphabet not in chosen]
    test = _of(characters, chosen)
    valid = _of(characters, set(rest[: splits.tenth(len(rest))]))
  return {'train': characters - valid - test, 'valid': valid, 'test': test}


def _held_out(characters: set[str], seed: int) -> tuple[set[str], set[str]]:
  """One character of each alphabet, and WEAK_TEST others."""
  valid, test = set(), set()
  for alphabet in _alphabets(characters):
    order = splits.shuffled(_of(characters, {alphabet}), seed)
    test.update(order[:WEAK_TEST])
    valid.update(order[WEAK_TEST : WEAK_TEST + 1])
  return valid, test


def _alphabets(characters: set[str]) -> set[str]:
  return {name.partition('/')[0] for name in characters}


def _of(characters: set[str], alphabets: set[str]) -> set[str]:
  return {name for name in characters if name.partition('/')[0] in alphabets}
