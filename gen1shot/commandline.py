"""How every binary starts and ends."""

import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from absl import app, flags, logging

from gen1shot import allocation
from gen1shot.errors import InputError, NonFiniteError


def run(
  main: Callable[[], None],
  define: Callable[[Sequence[str]], None] = lambda argv: None,
) -> None:
  """Runs a binary; what stops it is one line on standard error.

  Exit status 2 for a user's mistake, 1 for a loss that is not finite.

  Args:
    main: the work, called once the flags are parsed.
    define: defines the flags that depend on other flags, given argv.
  """

  def parse(argv: Sequence[str]) -> list[str]:
    try:
      define(argv)
      rest = flags.FLAGS(argv)
      if len(rest) > 1:
        raise InputError(f'arguments must be flags; got {rest[1]!r}')
      return rest
    except (flags.Error, InputError) as e:
      _fail(e, status=2)

  def guarded(argv: Sequence[str]) -> None:
    del argv
    logging.set_verbosity(logging.WARNING)  # Orbax tells its every step
    try:
      main()
    except InputError as e:
      _fail(e, status=2)
    except NonFiniteError as e:
      _fail(e, status=1)

  allocation.use_huge_pages()
  app.run(guarded, flags_parser=parse)


def _fail(error: Exception, status: int) -> NoReturn:
  print(f'error: {" ".join(str(error).split())}', file=sys.stderr)
  sys.exit(status)
