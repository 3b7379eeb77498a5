"""Files of a data set that came from somebody else."""

import pathlib

from gen1shot.errors import InputError


def check(path: pathlib.Path, root: pathlib.Path) -> None:
  """Raises InputError where a link leads out of a folder, or to no file.

  A folder from elsewhere may hold links to what it has no business with, and
  names that never end when they are read.

  Args:
    path: below `root`, a folder or a file of data.
    root: the folder of the data set.
  """
  if path.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
    raise InputError(
      f'links must stay within {root}; {path} leads to {path.resolve()}'
    )
  if path.exists() and not (path.is_file() or path.is_dir()):
    raise InputError(f'data must be files and folders; {path} is neither')
