"""Data sets that lie in a folder as a pair of .npz files."""

import io
import math
import pathlib
import tokenize
import zipfile
import zlib
from importlib.resources.abc import Traversable
from typing import IO

import numpy as np

from gen1shot.errors import InputError

MOST_BYTES = 2**30  # of all arrays of a file


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


def read_arrays(
  path: Traversable, layout: str, content: bytes | None = None
) -> dict[str, np.ndarray]:
  """Reads every array of an .npz file; nothing pickled is ever loaded.

  `content` is that of the file, where it has been read already.

  Raises:
    InputError: `path` is no such file, is damaged, holds Python objects, or
      says that it holds more than MOST_BYTES.
  """
  try:
    with path.open('rb') if content is None else io.BytesIO(content) as file:
      _check_members(path, file)
      archive = np.load(file, allow_pickle=False)
      # What is no array comes as bytes; as an array it has a type to report.
      return {key: np.asarray(archive[key]) for key in archive.files}
  except InputError:
    raise
  except (
    EOFError,
    OSError,
    RuntimeError,  # a zip with a password or a compression of its own
    SyntaxError,  # this and the next two of a header
    TypeError,
    tokenize.TokenError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
  ) as error:
    reason = ' '.join(str(error).split())
    raise InputError(
      f'{path} must be an .npz file without Python objects ({layout}); '
      f'reading it failed: {reason}'
    ) from error


def _check_members(path: Traversable, file: IO[bytes]) -> None:
  """Raises unless a file is a zip of arrays that fit, before one is made.

  NumPy makes an array as large as its header says, then looks for the content.
  """
  total = 0
  with zipfile.ZipFile(file) as archive:
    for member in archive.infolist():
      if '..' in pathlib.PurePosixPath(member.filename).parts:
        raise InputError(
          f'members of {path} must have names without ..; got '
          f'{member.filename!r}'
        )
      total += max(member.file_size, _size_of(archive, member))
      if total > MOST_BYTES:
        raise InputError(
          f'{path} must hold at most {MOST_BYTES:,} bytes of arrays; got more, '
          f'up to {member.filename!r}'
        )
  file.seek(0)


def _size_of(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> int:
  """The bytes of the array that the header of a member promises."""
  with archive.open(member) as stream:
    try:
      version = np.lib.format.read_magic(stream)
    except ValueError:
      return 0  # no array: read as the bytes that it is
    if version == (1, 0):
      header = np.lib.format.read_array_header_1_0(stream)
    else:
      header = np.lib.format.read_array_header_2_0(stream)
  shape, _, dtype = header
  return math.prod(shape) * dtype.itemsize
