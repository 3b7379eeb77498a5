"""Sheets of images and of sets as PNG files, paintings as GIF."""

import pathlib

import numpy as np
from PIL import Image, ImageDraw

from gen1shot import files
from gen1shot.errors import InputError

_SCALE = 2  # screen pixels for each image pixel
_GAP = 1  # image pixels between two images
_PAPER = 255
_GREY, _RED = (200, 200, 200), (220, 30, 30)
_MILLISECONDS = 150  # of a frame
_SIDE = 56  # image pixels of the frame in which a set is drawn
_REACH = {1: 4.0, 2: 3.0}  # size of a vector -> the frame goes from -r to r
_BINS = 28


def sheet(support: np.ndarray, samples: np.ndarray) -> np.ndarray:
  """Rows of `support | samples`, the support in red boxes.

  Ink is dark on white: uint8 [height, width, 3].

  Args:
    support: [rows, N, H, W, 1], cut to [0, 1]; N may be 0.
    samples: [rows, S, H, W, 1], cut to [0, 1].
  """
  parts = [_grid(support, _RED)] if support.shape[1] else []
  parts.append(_grid(samples, _GREY))
  gap = np.full((len(parts[0]), 4 * _GAP, 3), _PAPER, np.uint8)
  pieces = [piece for part in parts for piece in (gap, part)][1:]
  return np.concatenate(pieces, axis=1)


def _grid(images: np.ndarray, line: tuple[int, int, int]) -> np.ndarray:
  """[rows, columns, H, W, 1] -> one picture, with lines around images."""
  rows, columns, height, width, _ = images.shape
  down, across = height + _GAP, width + _GAP
  picture = np.full(
    (rows * down + _GAP, columns * across + _GAP, 3), line, 'u1'
  )
  ink = _PAPER - np.round(_PAPER * np.clip(images, 0, 1)).astype(np.uint8)
  for row, column in np.ndindex(rows, columns):
    cell = picture[row * down + _GAP :, column * across + _GAP :]
    cell[:height, :width] = ink[row, column]
  return picture


def clouds(points: np.ndarray) -> np.ndarray:
  """Sets of vectors as images, one a set: [rows, N, D] -> [rows, 1, H, W, 1].

  In the plane a vector (x, y) is a dot, x to the right, y up, -3 to 3; on the
  line sets are histograms of -4 to 4, as high as the frame where the density is
  1 or more. What lies outside of the frame is not drawn.

  Raises:
    InputError: vectors of more than two numbers.
  """
  size = points.shape[-1]
  if size not in _REACH:
    raise InputError(f'clouds are of vectors of 1 or 2 numbers; got {size}')
  draw = _histogram if size == 1 else _dots
  images = [draw(row, _REACH[size]) for row in points]
  return np.stack(images)[:, None, ..., None]


def _dots(points: np.ndarray, reach: float) -> np.ndarray:
  """Points [N, 2] as an image of 0 and 1, [_SIDE, _SIDE]."""
  edges = np.linspace(-reach, reach, _SIDE + 1)
  columns, rows = points[:, 0], -points[:, 1]
  return (np.histogram2d(rows, columns, (edges, edges))[0] > 0) * 1.0


def _histogram(values: np.ndarray, reach: float) -> np.ndarray:
  """The density of values [N, 1] as an image of 0 and 1, [_SIDE, _SIDE]."""
  counts, _ = np.histogram(values, _BINS, (-reach, reach))
  density = counts * _BINS / (2 * reach * max(len(values), 1))
  heights = np.round(_SIDE * density).repeat(_SIDE // _BINS)
  return (np.arange(_SIDE, 0, -1)[:, None] <= heights) * 1.0


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
    picture = _enlarge(_grid(row[None], _GREY)).repeat(2, 0).repeat(2, 1)
    frame = Image.fromarray(picture)
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
  files.write(
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
  files.write(path, lambda file: image.save(file, format='PNG'))


def _enlarge(picture: np.ndarray) -> np.ndarray:
  return picture.repeat(_SCALE, 0).repeat(_SCALE, 1)
