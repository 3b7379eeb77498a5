"""What stops a run: a user's mistake, or a loss that is not finite."""

import difflib
import math
from collections.abc import Iterable

_KINDS = {
  bool: 'true or false',
  int: 'a whole number',
  float: 'a number',
  str: 'a text',
}


class InputError(ValueError):
  """Input that breaks a rule; the message is one line: rule, value, choices.

  Binaries print the message and exit with status 2.
  """


class NonFiniteError(FloatingPointError):
  """A loss that is not a number; the last good checkpoint is kept."""


def check_choice(what: str, got: str, choices: Iterable[str]) -> None:
  """Raises InputError unless `got` is one of `choices`; names the nearest."""
  choices = sorted(choices)
  if got in choices:
    return
  near = difflib.get_close_matches(got, choices, n=1)
  hint = f' (did you mean {near[0]!r}?)' if near else ''
  raise InputError(
    f'{what} must be one of {", ".join(choices)}; got {got!r}{hint}'
  )


def check_like(what: str, got: object, default: object) -> None:
  """Raises InputError unless a value is of the type of another.

  A whole number may stand for a fraction. Numbers must fit a device, which
  counts in 32 bits.
  """
  kind = type(default)
  if type(got) is not kind and (kind, type(got)) != (float, int):
    raise InputError(f'{what} must be {_KINDS[kind]}; got {got!r}')
  if isinstance(got, float) and not math.isfinite(got):
    raise InputError(f'{what} must be finite; got {got}')
  if isinstance(got, int) and abs(got) >= 2**31:
    raise InputError(f'{what} must be below 2**31; got {got}')


def check_positive(owner: object, *names: str, least: int = 1) -> None:
  """Raises InputError unless these attributes are 1 or more, or `least`."""
  for name in names:
    if getattr(owner, name) < least:
      raise InputError(f'{name} must be >= {least}; got {getattr(owner, name)}')
