"""How every binary starts and ends."""

import os
import pathlib
import sys
from collections.abc import Callable, Sequence
from logging import LogRecord
from typing import NoReturn

import jax
from absl import app, flags, logging

from gen1shot import allocation, preemption
from gen1shot.errors import InputError, NonFiniteError

_MEMORY = 'RESOURCE_EXHAUSTED'  # how XLA begins to say that there is no more


def run(
  main: Callable[[], None],
  define: Callable[[Sequence[str]], None] = lambda argv: None,
) -> None:
  """Runs a binary; what stops it is one line on standard error.

  Exit status 2 for a user's mistake, 1 for a loss that is not finite, 143 for a
  training that SIGTERM has stopped and that is saved.

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
    logging.set_verbosity(logging.WARNING)
    logging.get_absl_logger().addFilter(_is_ours)
    try:
      main()
    except InputError as e:
      _fail(e, status=2)
    except jax.errors.JaxRuntimeError as e:
      if not str(e).startswith(_MEMORY):
        raise
      _fail(InputError(f'sizes must fit into memory; got {e}'), status=2)
    except NonFiniteError as e:
      _fail(e, status=1)
    except preemption.PreemptedError as e:
      _fail(e, status=preemption.STATUS)

  allocation.keep_memory()
  app.run(guarded, flags_parser=parse)


def _is_ours(record: LogRecord) -> bool:
  """Orbax logs every error that it raises, with the traces of its threads."""
  return 'orbax' not in pathlib.Path(record.pathname).parts


def _fail(error: Exception, status: int) -> NoReturn:
  sys.stdout.flush()
  print(f'error: {" ".join(str(error).split())}', file=sys.stderr, flush=True)
  # At once: threads that could not write to a full disk would say so again.
  os._exit(status)
