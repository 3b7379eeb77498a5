"""The data sets by name, each split in train, valid and test."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Mapping

import numpy as np

from gen1shot.data import folder, glyphs, mnist, omniglot
from gen1shot.data.episodes import Dataset, ImageClasses
from gen1shot.errors import InputError, check_choice

DEFAULT_SPLIT = omniglot.SPLITS[0]
_OF_OMNIGLOT = ('omniglot', 'alphabets')


@dataclasses.dataclass(frozen=True)
class Source:
  """A data set in three parts."""

  train: Dataset
  valid: Dataset
  test: Dataset
  class_names: Mapping[str, tuple[str, ...]]  # part -> names of what it holds
  identity: str  # what the class names leave open

  @property
  def fingerprint(self) -> str:
    """SHA-256 in hex: equal when the parts are made of the same classes.

    A run records it, and is not continued or evaluated on another split.
    """
    text = json.dumps([self.identity, dict(self.class_names)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def load(
  name: str,
  *,
  data_dir: str | None = None,
  split: str = DEFAULT_SPLIT,
  seed: int = 0,
) -> Source:
  """Reads a data set and puts it on the device.

  Args:
    name: One of SOURCES.
    data_dir: Where the files are; see the module of the data set. glyphs has
      none and ignores it.
    split: One of omniglot.SPLITS; data sets of other images have one split.
    seed: Draws the split of omniglot, alphabets and folder.

  Raises:
    InputError: an unknown name or split, or no data that can be read.
  """
  check_choice('dataset', name, SOURCES)
  if name not in _OF_OMNIGLOT and split != DEFAULT_SPLIT:
    raise InputError(
      f'split belongs to {" and ".join(_OF_OMNIGLOT)}, with another dataset it '
      f'must stay {DEFAULT_SPLIT}; got {split!r} with {name}'
    )
  if data_dir is not None:
    data_dir = os.path.expanduser(data_dir)
    if not (os.path.isdir(data_dir) and os.access(data_dir, os.R_OK | os.X_OK)):
      raise InputError(
        f'data_dir must be a folder that can be read; got {data_dir!r}'
      )
  return SOURCES[name](data_dir, split, seed)


def _load_glyphs(data_dir: str | None, split: str, seed: int) -> Source:
  names = {'train': (), 'valid': (), 'test': ()}
  return Source(**glyphs.load(), class_names=names, identity='glyphs-v1')


def _load_omniglot(data_dir: str | None, split: str, seed: int) -> Source:
  # Not of the images: the exemplars of a class come in another order from the
  # archives than from the .npz files, and are the same.
  return _on_device(omniglot.load(data_dir, split, seed), 'omniglot')


def _load_alphabets(data_dir: str | None, split: str, seed: int) -> Source:
  parts = omniglot.load(data_dir, split, seed)
  # In the weak split the parts have the same alphabets of other characters.
  names = {part: tuple(characters) for part, characters in parts.items()}
  source = _on_device(omniglot.families(parts), 'alphabets')
  return dataclasses.replace(source, class_names=names)


def _load_mnist(data_dir: str | None, split: str, seed: int) -> Source:
  parts = mnist.load(data_dir)
  return _on_device(parts, f'mnist {_digest(parts)}')


def _load_folder(data_dir: str | None, split: str, seed: int) -> Source:
  parts = folder.load(data_dir, seed)
  return _on_device(parts, f'folder {_digest(parts)}')


SOURCES: dict[str, Callable[[str | None, str, int], Source]] = {
  'glyphs': _load_glyphs,
  'omniglot': _load_omniglot,
  'alphabets': _load_alphabets,
  'mnist': _load_mnist,
  'folder': _load_folder,
}


def _on_device(
  parts: dict[str, dict[str, np.ndarray]], identity: str
) -> Source:
  return Source(
    **{
      part: ImageClasses.stack(list(classes.values()))
      for part, classes in parts.items()
    },
    class_names={part: tuple(classes) for part, classes in parts.items()},
    identity=identity,
  )


def _digest(parts: dict[str, dict[str, np.ndarray]]) -> str:
  """SHA-256 in hex of all images, in order."""
  digest = hashlib.sha256()
  for classes in parts.values():
    for images in classes.values():
      digest.update(str(images.shape).encode())
      digest.update(np.packbits(images).tobytes())
  return digest.hexdigest()
