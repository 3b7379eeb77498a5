"""The original files of MNIST (LeCun et al. 1998), made binary."""

import gzip
import pathlib
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from gen1shot.data import tfds_builder

# TFDS knows the checksums of the files under these very addresses.
_HOME = 'https://storage.googleapis.com/cvdf-datasets/mnist/'


class BinaryMnist(tfds_builder.ClassesBuilder):
  """MNIST, ink = above 127; names '0'..'9', exemplars in file order."""

  ARCHIVES: ClassVar = {
    part: (
      f'{_HOME}{file}-images-idx3-ubyte.gz',
      f'{_HOME}{file}-labels-idx1-ubyte.gz',
    )
    for part, file in (('train', 'train'), ('test', 't10k'))
  }

  @staticmethod
  def read(*archives: pathlib.Path) -> Iterator[tuple[str, np.ndarray]]:
    grey, labels = map(read_idx, archives)
    ink = (grey > 127).astype(np.uint8)[..., None]
    for digit in range(10):
      yield str(digit), ink[labels == digit]


def read_idx(path: pathlib.Path) -> np.ndarray:
  """Reads a gzipped IDX file of bytes: uint8, of the shape in its header.

  The header is two zero bytes, the type (8 = uint8), the number of axes, and
  each axis as a big-endian int32.
  """
  with gzip.open(path) as file:
    content = file.read()
  axes = content[3]
  shape = np.frombuffer(content, '>i4', axes, offset=4)
  return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)
