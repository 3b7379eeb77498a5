"""Sheets of images as PNG files, and paintings step by step as GIF."""

import pathlib
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from gen1shot.errors import InputError

_SCALE = 2  # screen pixels for each image pixel
_GAP = 1  # image pixels between two images
_PAPER, _LINE = 255, 200  # grey levels
_RED = (220, 30, 30)
_MILLISECONDS = 150  # of a frame


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


def film(
  means: np.ndarray, boxes: np.ndarray | None = None
) -> list[Image.Image]:
  """Frames of paintings side by side, the attended window in red.

  Args:
    means: [steps, S, H, W, 1] in [0, 1].
    boxes: [steps, S, 4] or None: top, bottom, left, right, in pixels.
  """
  width = means.shape[-2]
  frames = []
  for step, row in enumerate(means):
    picture = _enlarge(_grid(row[None])).repeat(2, 0).repeat(2, 1)
    frame = Image.fromarray(picture).convert('RGB')
    for i, box in enumerate([] if boxes is None else boxes[step]):
      top, bottom, left, right = box
      # A pixel begins half of one before its middle; a line comes first.
      across = _GAP + i * (width + _GAP) + 0.5
      corners = (
        left + across,
        top + _GAP + 0.5,
        right + across,
        bottom + _GAP + 0.5,
      )
      ImageDraw.Draw(frame).rectangle(
        [2 * _SCALE * float(c) for c in corners], outline=_RED
      )
    frames.append(frame)
  return frames


def save_film(frames: list[Image.Image], path: pathlib.Path) -> None:
  """Writes an endless GIF that rests on its last frame."""
  durations = [_MILLISECONDS] * (len(frames) - 1) + [10 * _MILLISECONDS]
  _write(
    path,
    lambda file: frames[0].save(
      file,
      format='GIF',
      save_all=True,
      append_images=frames[1:],
      duration=durations,
      loop=0,
    ),
  )


def save(picture: np.ndarray, path: pathlib.Path) -> None:
  """Writes a picture as PNG, enlarged."""
  image = Image.fromarray(_enlarge(picture))
  _write(path, lambda file: image.save(file, format='PNG'))


def _enlarge(picture: np.ndarray) -> np.ndarray:
  return picture.repeat(_SCALE, 0).repeat(_SCALE, 1)


def _write(path: pathlib.Path, write: Callable[[pathlib.Path], None]) -> None:
  """Writes a file; a reader never sees half of it.

  Raises:
    InputError: the file cannot be written.
  """
  unfinished = path.with_name(path.name + '.tmp')
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    write(unfinished)
    unfinished.replace(path)
  except OSError as e:
    unfinished.unlink(missing_ok=True)
    raise InputError(f'{path} must be a file that can be written: {e}') from e
