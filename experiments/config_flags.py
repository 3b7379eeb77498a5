"""A flag --config.FIELD for every field of a run."""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags
from configs import get_config

from gen1shot import zoo
from gen1shot.config import Config

_DEFINE = {
  bool: flags.DEFINE_bool,
  int: flags.DEFINE_integer,
  float: flags.DEFINE_float,
  str: flags.DEFINE_string,
}
# Set by flags of their own.
_NAMED = ('model', 'preset', 'dataset', 'data_dir', 'steps', 'seed', 'fields')


def define(argv: Sequence[str]) -> None:
  """Defines the flags of the model and preset that argv is about."""
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
  for name, value in _fields(config).items():
    _define(name, value, f'field of {early.model}')


def _fields(config: Config) -> Mapping[str, Any]:
  """All fields of the module: those of the preset, and what differs."""
  return zoo.module_fields(config.model, config.preset, config.fields)


def _define(name: str, value: Any, meaning: str) -> None:
  _DEFINE[type(value)](f'config.{name}', value, meaning)
  # As if the binary had defined it, so that --help lists it.
  flag = flags.FLAGS[f'config.{name}']
  flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)


def command_of(config: Config) -> str:
  """The command whose flags give a configuration; its data lie in `...`."""
  words = ['python experiments/train.py', f'--model={config.model}']
  usual = get_config(config.model, config.preset, config.dataset)
  if config.preset != 'small':
    words.append(f'--preset={config.preset}')
  if config.dataset != get_config(config.model, config.preset).dataset:
    words.append(f'--dataset={config.dataset}')
  if config.data_dir is not None:
    words.append('--data_dir=...')
  for field in dataclasses.fields(Config):
    value = getattr(config, field.name)
    if field.name in ('steps', 'seed') and value != getattr(usual, field.name):
      words.append(f'--{field.name}={value}')
    if field.name not in _NAMED and value != getattr(usual, field.name):
      words.append(f'--config.{field.name}={value}')
  for name, value in _fields(config).items():
    if value != _fields(usual)[name]:
      words.append(f'--config.{name}={value}')
  return ' '.join(words)


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
  fields = {name: FLAGS[f'config.{name}'].value for name in _fields(config)}
  named = {name: value for name, value in named.items() if value is not None}
  return dataclasses.replace(config, fields=fields, **own, **named)
