"""The official archives of Omniglot (Lake et al. 2015), reduced to 28x28."""

import collections
import pathlib
import re
import zipfile
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from PIL import Image

from gen1shot.data import tfds_builder
from gen1shot.errors import InputError

# TFDS knows the checksums of the archives under these very addresses.
_HOME = 'https://github.com/brendenlake/omniglot/raw/master/python/'
_MEMBER = re.compile(r'[^/]+/([^/.]+/character\d\d)/\d+_(\d\d)\.png')
_KEPT = np.arange(28) * 105 // 28


class Omniglot28(tfds_builder.ClassesBuilder):
  """Omniglot at 28x28; names '<Alphabet>/characterNN', exemplars by drawer."""

  ARCHIVES: ClassVar = {
    'train': (_HOME + 'images_background.zip',),
    'test': (_HOME + 'images_evaluation.zip',),
  }

  @staticmethod
  def read(*archives: pathlib.Path) -> Iterator[tuple[str, np.ndarray]]:
    (archive,) = archives
    return read_archive(archive)


def reduce_drawing(paper: np.ndarray) -> np.ndarray:
  """Reduces a drawing, bool [105, 105], True = paper, to uint8 [28, 28, 1].

  Ink is 1. Pixel (r, c) is pixel (105 r // 28, 105 c // 28) of the drawing,
  and nothing is averaged: so were the published 28x28 files made.
  """
  return (~paper[np.ix_(_KEPT, _KEPT)]).astype(np.uint8)[..., None]


def read_archive(path: pathlib.Path) -> Iterator[tuple[str, np.ndarray]]:
  """Yields each character of an official zip: name, uint8 [20, 28, 28, 1]."""
  with zipfile.ZipFile(path) as archive:
    drawings = collections.defaultdict(dict)
    for member in archive.namelist():
      if match := _MEMBER.fullmatch(member):
        name, drawer = match.groups()
        drawings[name][drawer] = member
    for name, members in sorted(drawings.items()):
      images = []
      for _, member in sorted(members.items()):
        with (
          archive.open(member) as file,
          Image.open(file, formats=('PNG',)) as image,
        ):
          if image.size != (105, 105):
            raise InputError(
              f'drawings must be 105x105; got {image.width}x{image.height} in '
              f'{member} of {path}'
            )
          images.append(reduce_drawing(np.asarray(image, bool)))
      yield name, np.stack(images)
