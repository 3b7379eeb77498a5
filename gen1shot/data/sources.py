"""The data sets by name, each split in train, valid and test."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Mapping

import numpy as np

from gen1shot.data import (
  bars,
  folder,
  glyphs,
  mnist,
  omniglot,
  points,
  reals,
  words,
)
from gen1shot.data.corpus import Corpus
from gen1shot.data.documents import Documents
from gen1shot.data.episodes import Dataset, ImageClasses
from gen1shot.data.vocabulary import Vocabulary
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
  vocabulary: Vocabulary | None = None  # of the words, where the kind is words

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
    data_dir: Where the files are; see the module of the data set. glyphs,
      distributions and bars have none and ignore it.
    split: One of omniglot.SPLITS; other data sets have one split.
    seed: Draws the split of omniglot, alphabets, folder, words, shakespeare.

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
  return _in_parts(glyphs.load(), 'glyphs-v1')


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


def _load_distributions(data_dir: str | None, split: str, seed: int) -> Source:
  return _in_parts(reals.load(), 'distributions-v1')


def _load_points(data_dir: str | None, split: str, seed: int) -> Source:
  parts = mnist.load(data_dir)
  clouds = {
    part: points.Clouds.of_images(digits) for part, digits in parts.items()
  }
  names = {part: tuple(digits) for part, digits in parts.items()}
  return _in_parts(clouds, f'points-v1 {_digest(parts)}', names)


def _load_folder(data_dir: str | None, split: str, seed: int) -> Source:
  parts = folder.load(data_dir, seed)
  return _on_device(parts, f'folder {_digest(parts)}')


def _load_bars(data_dir: str | None, split: str, seed: int) -> Source:
  return _of_words('bars', bars.load())


def _load_words(data_dir: str | None, split: str, seed: int) -> Source:
  return _of_words('words', words.load(data_dir, seed))


def _load_shakespeare(data_dir: str | None, split: str, seed: int) -> Source:
  from gen1shot.data import shakespeare_tfds

  return _of_words('shakespeare', shakespeare_tfds.load(data_dir, seed))


SOURCES: dict[str, Callable[[str | None, str, int], Source]] = {
  'glyphs': _load_glyphs,
  'omniglot': _load_omniglot,
  'alphabets': _load_alphabets,
  'mnist': _load_mnist,
  'folder': _load_folder,
  'distributions': _load_distributions,
  'points': _load_points,
  'bars': _load_bars,
  'words': _load_words,
  'shakespeare': _load_shakespeare,
}


def _in_parts(
  parts: Mapping[str, Dataset],
  identity: str,
  class_names: Mapping[str, tuple[str, ...]] | None = None,
  vocabulary: Vocabulary | None = None,
) -> Source:
  return Source(
    parts['train'],
    parts['valid'],
    parts['test'],
    class_names or dict.fromkeys(parts, ()),
    identity,
    vocabulary,
  )


def _on_device(
  parts: dict[str, dict[str, np.ndarray]], identity: str
) -> Source:
  return _in_parts(
    {
      part: ImageClasses.stack(list(classes.values()))
      for part, classes in parts.items()
    },
    identity,
    {part: tuple(classes) for part, classes in parts.items()},
  )


def _digest(parts: dict[str, dict[str, np.ndarray]]) -> str:
  """SHA-256 in hex of all images, in order."""
  digest = hashlib.sha256()
  for classes in parts.values():
    for images in classes.values():
      digest.update(str(images.shape).encode())
      digest.update(np.packbits(images).tobytes())
  return digest.hexdigest()


def _of_words(name: str, corpus: Corpus) -> Source:
  vocabulary = corpus.vocabulary
  return _in_parts(
    {
      part: Documents.stack(documents, len(vocabulary))
      for part, documents in corpus.parts.items()
    },
    f'{name} {_digest_words(corpus)}',
    vocabulary=vocabulary,
  )


def _digest_words(corpus: Corpus) -> str:
  """SHA-256 in hex of the vocabulary and all documents, in order."""
  digest = hashlib.sha256(corpus.vocabulary.to_json().encode())
  for documents in corpus.parts.values():
    digest.update(str(list(map(len, documents))).encode())
    digest.update(np.concatenate(documents).astype('<i4').tobytes())
  return digest.hexdigest()
