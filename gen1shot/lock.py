"""One process at a time writes to a folder."""

import contextlib
import fcntl
import pathlib
from collections.abc import Iterator

from gen1shot import parallel
from gen1shot.errors import InputError

NAME = 'lock'  # of the file, which stays


@contextlib.contextmanager
def hold(folder: pathlib.Path) -> Iterator[None]:
  """Makes a folder where there is none, and keeps others out of it.

  Of several hosts the first holds it for all of them.

  The operating system lets go of the lock when the process ends, however.

  Raises:
    InputError: another process holds it, or the folder cannot be written.
  """
  if not parallel.is_first():
    yield
    return
  try:
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / NAME).open('a')
  except OSError as e:
    raise InputError(
      f'workdir must be a folder that can be written; got {folder}: {e}'
    ) from e
  with file:
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as e:
      raise InputError(
        f'one process at a time may train in a workdir; {folder} has one: wait '
        'for it, or take another --workdir'
      ) from e
    yield
