"""Files that are written whole, or not at all."""

import contextlib
import pathlib
from collections.abc import Callable
from importlib.resources.abc import Traversable

from gen1shot import parallel
from gen1shot.errors import InputError


def write(
  path: pathlib.Path, save_to: Callable[[pathlib.Path], object]
) -> None:
  """Replaces a file at once: a reader sees the old one or the new.

  `save_to` writes to the path that it is given. Of several hosts the first
  writes.

  Raises:
    InputError: the file cannot be written.
  """
  if not parallel.is_first():
    return
  unfinished = path.parent / f'{path.name}.tmp'
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_to(unfinished)
    unfinished.replace(path)
  except OSError as e:
    with contextlib.suppress(OSError):
      unfinished.unlink()
    raise InputError(f'{path} must be a file that can be written: {e}') from e


def read_bytes(path: Traversable, most: int) -> bytes:
  """A file of at most so many bytes.

  Raises:
    InputError: it has more, or cannot be read.
  """
  try:
    with path.open('rb') as file:
      content = file.read(most + 1)
  except OSError as e:
    raise InputError(f'{path} must be a file that can be read: {e}') from e
  if len(content) > most:
    raise InputError(f'{path} must have at most {most:,} bytes; got more')
  return content


def read_text(path: Traversable, most: int) -> str:
  """A text in UTF-8 of at most so many bytes.

  Raises:
    InputError: it has more, is no text, or cannot be read.
  """
  try:
    return read_bytes(path, most).decode('utf-8')
  except UnicodeDecodeError as e:
    raise InputError(f'{path} must be a text that can be read: {e}') from e


def write_text(path: pathlib.Path, text: str) -> None:
  """Like `write`, of a text, in UTF-8 wherever we are."""
  write(path, lambda file: file.write_text(text, encoding='utf-8'))
