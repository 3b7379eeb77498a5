"""A data set of the user's own: a folder of images for each class."""

import os
import pathlib
import warnings
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageOps

from gen1shot.data import inside, splits
from gen1shot.errors import InputError

SUFFIXES = ('.png', '.jpg', '.jpeg')
# Whatever the suffix says: Pillow has other programs read some formats.
FORMATS = ('PNG', 'JPEG')
_LAYOUT = 'data_dir must hold <class>/*.png, .jpg or .jpeg'


def load(data_dir: str | None, seed: int) -> dict[str, dict[str, np.ndarray]]:
  """Reads <class>/<image> below `data_dir` and splits the classes.

  All images have one size. Pixels are light from 128 on, and ink is the rarer
  kind over the whole data set. A tenth of the classes is for testing, a tenth
  for validation, at least one each; names that begin with a dot are skipped.

  Returns:
    Part ('train', 'valid', 'test') -> class -> uint8 [n, H, W, 1] of 0 and 1;
    the parts have no class in common.

  Raises:
    InputError: no `data_dir`, fewer than 3 classes, a class without images,
      an image that cannot be read or has another size, a link that leads out.
  """
  if data_dir is None:
    raise InputError(f'--dataset=folder needs --data_dir ({_LAYOUT}); got none')
  root = pathlib.Path(data_dir)
  files = {
    folder.name: _images(folder, root)
    for folder in _visible(root, root)
    if folder.is_dir()
  }
  if len(files) < 3:
    raise InputError(
      f'{_LAYOUT}, at least 3 classes to split in train, valid and test; '
      f'{data_dir} has {len(files)}'
    )
  light = _read_one_size(files)
  paper = _paper(np.concatenate(list(light.values())))
  ink = {name: stack != paper for name, stack in light.items()}
  return {
    part: {name: ink[name].astype(np.uint8) for name in sorted(names)}
    for part, names in splits.tenths(ink, seed).items()
  }


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
  """Reads one image as uint8 [H, W, 1] of 0 and 1, ink = the rarer kind.

  Raises:
    InputError: the file is not an image that can be read.
  """
  light = _read_light(pathlib.Path(path))
  return (light != _paper(light)).astype(np.uint8)


def read_images(
  paths: Sequence[str | os.PathLike[str]],
  shape: tuple[int, ...] | None = None,
) -> np.ndarray:
  """Reads images of one size as float32 [N, H, W, 1] of 0 and 1.

  Ink, which is 1, is the rarer kind of each. `shape` is that of an image, None
  for that of the first.

  Raises:
    InputError: no paths, or a file that is no such image.
  """
  if not paths:
    raise InputError('images must be files; got none')
  images = [read_image(path) for path in paths]
  shape = shape or images[0].shape
  for path, image in zip(paths, images, strict=True):
    if image.shape != shape:
      raise InputError(
        f'images must be {shape[0]}x{shape[1]} pixels, as those of the model '
        f'or the first; got {image.shape[0]}x{image.shape[1]} in {path}'
      )
  return np.stack(images).astype(np.float32)


def _paper(light: np.ndarray) -> np.bool:
  """Whether most pixels are light: the kind that is not ink."""
  return light.mean() >= 0.5


def _read_light(path: pathlib.Path) -> np.ndarray:
  """Reads an image as bool [H, W, 1], True where it is light."""
  try:
    with warnings.catch_warnings():
      # Pillow knows what is too large by the header, and would only warn.
      warnings.simplefilter('error', Image.DecompressionBombWarning)
      image = Image.open(path, formats=FORMATS)
    with image:
      if image.mode.startswith(('I', 'F')):
        raise InputError(
          f'images must have 8 bits a channel; {path} has mode {image.mode}'
        )
      # What is transparent is paper: drawing programs save ink on nothing.
      drawing = ImageOps.exif_transpose(image).convert('RGBA')
  except (
    OSError,
    SyntaxError,
    ValueError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
  ) as error:
    reason = ' '.join(str(error).split())
    raise InputError(
      f'{path} must be an image that can be read; reading it failed: {reason}'
    ) from error
  paper = Image.new('RGBA', drawing.size, 'white')
  grey = Image.alpha_composite(paper, drawing).convert('L')
  return np.asarray(grey)[..., None] >= 128


def _read_one_size(
  files: dict[str, list[pathlib.Path]],
) -> dict[str, np.ndarray]:
  """Class -> bool [n, H, W, 1], True where an image is light."""
  first, shape, classes = None, None, {}
  for name, paths in files.items():
    stack = []
    for path in paths:
      light = _read_light(path)
      first, shape = first or path, shape or light.shape
      if light.shape != shape:
        raise InputError(
          f'images must have one size (height x width); {first} is '
          f'{shape[0]}x{shape[1]}, {path} is {light.shape[0]}x'
          f'{light.shape[1]}'
        )
      stack.append(light)
    classes[name] = np.stack(stack)
  return classes


def _images(folder: pathlib.Path, root: pathlib.Path) -> list[pathlib.Path]:
  images = [
    path for path in _visible(folder, root) if path.suffix.lower() in SUFFIXES
  ]
  if not images:
    raise InputError(f'{_LAYOUT}; the class folder {folder} has no images')
  return images


def _visible(folder: pathlib.Path, root: pathlib.Path) -> list[pathlib.Path]:
  try:
    paths = sorted(folder.iterdir())
  except OSError as error:
    raise InputError(f'{_LAYOUT}; {folder} cannot be read: {error}') from error
  paths = [path for path in paths if not path.name.startswith('.')]
  for path in paths:
    inside.check(path, root)
  return paths
