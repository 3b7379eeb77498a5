"""Data sets that lie in a folder as a pair of .npz files."""

import pathlib
import zipfile
import zlib

import numpy as np

from gen1shot.errors import InputError


def find_pair(
  data_dir: str | None, train: str, test: str, layout: str
) -> tuple[pathlib.Path, pathlib.Path] | None:
  """The two files of `data_dir`, or None when it holds neither.

  Raises:
    InputError: it holds one of the two; `layout` says what a file contains.
  """
  if data_dir is None:
    return None
  pair = pathlib.Path(data_dir, train), pathlib.Path(data_dir, test)
  missing = [path.name for path in pair if not path.is_file()]
  if len(missing) == 1:
    raise InputError(
      f'data_dir must hold both {train} and {test} ({layout}); {data_dir} has '
      f'no {missing[0]}'
    )
  return None if missing else pair


def instead(train: str, test: str) -> str:
  """What to do when the data cannot be downloaded, for a message."""
  return (
    f'give a --data_dir that holds {train} and {test}, or use --dataset=glyphs'
  )


def read_arrays(path: pathlib.Path, layout: str) -> dict[str, np.ndarray]:
  """Reads every array of an .npz file; nothing pickled is ever loaded.

  Raises:
    InputError: `path` is no such file, is damaged, or holds Python objects.
  """
  try:
    with open(path, 'rb') as file:
      archive = np.load(file, allow_pickle=False)
      # What is no array comes as bytes; as an array it has a type to report.
      return {key: np.asarray(archive[key]) for key in archive.files}
  except (
    AttributeError,  # a lone array, which has no .files
    EOFError,
    OSError,
    RuntimeError,  # a zip with a password or a compression of its own
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
  ) as error:
    reason = ' '.join(str(error).split())
    raise InputError(
      f'{path} must be an .npz file without Python objects ({layout}); '
      f'reading it failed: {reason}'
    ) from error
