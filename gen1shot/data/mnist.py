"""Binary MNIST (LeCun et al. 1998): ten digits, 28x28, ink = 1."""

import pathlib

import numpy as np

from gen1shot.data import npz
from gen1shot.errors import InputError

DIGITS = tuple('0123456789')

_TRAIN, _TEST = 'binmnist_train.npz', 'binmnist_test.npz'
_LAYOUT = "keys '0'..'9', each float32 [n, 28, 28] of 0 and 1"


def load(data_dir: str | None) -> dict[str, dict[str, np.ndarray]]:
  """Reads binary MNIST; every part has the ten digits as classes.

  Of the training images of a digit the first 5/6 are for training, the last
  1/6 for validation.

  Args:
    data_dir: Folder of binmnist_train.npz and binmnist_test.npz, else the
      folder in which TFDS keeps its data sets; None is TFDS's default place.

  Returns:
    Part ('train', 'valid', 'test') -> digit -> uint8 [n, 28, 28, 1] of 0, 1.

  Raises:
    InputError: no data that can be read.
  """
  train, test = _read(data_dir)
  keep = {digit: len(train[digit]) * 5 // 6 for digit in DIGITS}
  return {
    'train': {digit: train[digit][: keep[digit]] for digit in DIGITS},
    'valid': {digit: train[digit][keep[digit] :] for digit in DIGITS},
    'test': {digit: test[digit] for digit in DIGITS},
  }


def _read(
  data_dir: str | None,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
  pair = npz.find_pair(data_dir, _TRAIN, _TEST, _LAYOUT)
  if pair is not None:
    return _read_npz(pair[0]), _read_npz(pair[1])
  from gen1shot.data import mnist_tfds, tfds_builder

  parts = tfds_builder.fetch(
    mnist_tfds.BinaryMnist, data_dir, npz.instead(_TRAIN, _TEST)
  )
  return parts['train'], parts['test']


def _read_npz(path: pathlib.Path) -> dict[str, np.ndarray]:
  arrays = npz.read_arrays(path, _LAYOUT)
  if set(arrays) != set(DIGITS):
    raise InputError(f'{path} must hold {_LAYOUT}; got keys {sorted(arrays)}')
  for key, array in arrays.items():
    if (
      array.dtype != np.float32
      or array.shape[1:] != (28, 28)
      or not len(array)
      or not ((array == 0) | (array == 1)).all()
    ):
      raise InputError(
        f'{path} must hold {_LAYOUT}; got key {key!r}, {array.dtype} '
        f'{list(array.shape)}'
      )
  return {key: array.astype('u1')[..., None] for key, array in arrays.items()}
