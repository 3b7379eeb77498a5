"""Sheets of images as PNG files."""

import pathlib

import numpy as np
from PIL import Image

_SCALE = 2  # screen pixels for each image pixel
_GAP = 1  # image pixels between two images
_PAPER, _LINE = 255, 200  # grey levels


def sheet(support: np.ndarray, samples: np.ndarray) -> np.ndarray:
  """Rows of `support | samples`, ink dark on white: uint8 [height, width].

  Args:
    support: [rows, N, H, W, 1] in [0, 1]; N may be 0.
    samples: [rows, S, H, W, 1] in [0, 1].
  """
  parts = [_grid(support)] if support.shape[1] else []
  parts.append(_grid(samples))
  gap = np.full((len(parts[0]), 4 * _GAP), _PAPER, np.uint8)
  pieces = [piece for part in parts for piece in (gap, part)][1:]
  return np.concatenate(pieces, axis=1)


def _grid(images: np.ndarray) -> np.ndarray:
  """[rows, columns, H, W, 1] -> one picture, with lines between images."""
  rows, columns, height, width, _ = images.shape
  ink = _PAPER - np.round(_PAPER * images[..., 0]).astype(np.uint8)
  frame = ((0, 0), (0, 0), (_GAP, 0), (_GAP, 0))
  framed = np.pad(ink, frame, constant_values=_LINE)
  picture = framed.transpose(0, 2, 1, 3).reshape(
    rows * (height + _GAP), columns * (width + _GAP)
  )
  return np.pad(picture, ((0, _GAP), (0, _GAP)), constant_values=_LINE)


def save(picture: np.ndarray, path: pathlib.Path) -> None:
  """Writes a picture as PNG, enlarged; a reader never sees half a file."""
  enlarged = picture.repeat(_SCALE, 0).repeat(_SCALE, 1)
  path.parent.mkdir(parents=True, exist_ok=True)
  unfinished = path.with_name(path.name + '.tmp')
  Image.fromarray(enlarged).save(unfinished, format='PNG')
  unfinished.replace(path)
