"""What the binaries share: flags of the configuration, and exit statuses."""

import dataclasses
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from absl import app, flags, logging
from configs import get_config

from gen1shot import allocation, compilation, zoo
from gen1shot.config import Config
from gen1shot.errors import InputError
from gen1shot.runs import NonFiniteError

_DEFINE = {
  bool: flags.DEFINE_bool,
  int: flags.DEFINE_integer,
  float: flags.DEFINE_float,
  str: flags.DEFINE_string,
}
# Set by flags of their own.
_NAMED = ('model', 'preset', 'dataset', 'data_dir', 'steps', 'seed', 'fields')


def run(
  main: Callable[[], None],
  define: Callable[[Sequence[str]], None] = lambda argv: None,
) -> None:
  """Runs a binary; what stops it is one line.

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
      _fail(e)

  def guarded(argv: Sequence[str]) -> None:
    del argv
    logging.set_verbosity(logging.WARNING)  # Orbax tells its every step
    try:
      allocation.keep_freed_memory()
      compilation.enable_cache()
      main()
    except InputError as e:
      _fail(e)
    except NonFiniteError as e:
      _fail(e, status=1)

  app.run(guarded, flags_parser=parse)


def _fail(error: Exception, status: int = 2) -> NoReturn:
  print(f'error: {" ".join(str(error).split())}', file=sys.stderr)
  sys.exit(status)


def define_config_flags(argv: Sequence[str]) -> None:
  """A flag --config.FIELD for every field of the run that argv is about."""
  early = flags.FlagValues()
  for name in ('model', 'preset', 'dataset'):
    default = flags.FLAGS[name].default
    flags.DEFINE_string(name, default, '', flag_values=early)
  early.set_gnu_getopt(True)
  early(argv, known_only=True)
  config = get_config(early.model, early.preset, early.dataset)
  for field in dataclasses.fields(Config):
    if field.name not in _NAMED:
      _define(field.name, getattr(config, field.name), field.metadata['help'])
  for name, value in zoo.module_fields(early.model, early.preset).items():
    _define(name, value, f'field of {early.model}')


def _define(name: str, value: Any, meaning: str) -> None:
  _DEFINE[type(value)](f'config.{name}', value, meaning)


def configured(**named: Any) -> Config:
  """The configuration that the flags give; `named` replaces its fields.

  Raises:
    InputError: a field has no meaning.
  """
  FLAGS = flags.FLAGS
  config = get_config(FLAGS.model, FLAGS.preset, FLAGS.dataset)
  own = {
    field.name: FLAGS[f'config.{field.name}'].value
    for field in dataclasses.fields(Config)
    if field.name not in _NAMED
  }
  fields = {
    name: FLAGS[f'config.{name}'].value
    for name in zoo.module_fields(config.model, config.preset)
  }
  named = {name: value for name, value in named.items() if value is not None}
  return dataclasses.replace(config, fields=fields, **own, **named)
