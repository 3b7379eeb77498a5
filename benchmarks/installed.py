"""What a benchmark needs beside the package."""

import importlib.util

from gen1shot.errors import InputError


def check_installed(**packages: str) -> None:
  """Checks that modules can be imported: module=what pip calls it.

  Raises:
    InputError: one cannot.
  """
  for module, package in packages.items():
    if importlib.util.find_spec(module) is None:
      raise InputError(f'{package} must be installed: pip install {package}')
