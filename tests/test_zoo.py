"""The registry of models, and that none is missing anywhere."""

import dataclasses
import importlib
import inspect
import pathlib
import re

import pytest
from presets import PRESETS, SHAPE, WORD_PRESETS

from gen1shot import zoo
from gen1shot.config import Config
from gen1shot.errors import InputError

ROOT = pathlib.Path(__file__).parent.parent


def test_unknown_names_are_refused_with_the_nearest():
  for arguments, near in (
    (('statistican', 'small'), 'statistician'),
    (('statistician', 'smal'), 'small'),
  ):
    with pytest.raises(InputError, match=f'did you mean {near!r}'):
      zoo.build(*arguments, SHAPE)
  with pytest.raises(InputError, match="did you mean 'width'"):
    zoo.build('statistician', 'small', SHAPE, widht=8)


def test_fields_of_a_preset_are_those_that_build_gives():
  for name, preset in PRESETS + WORD_PRESETS:
    fields = zoo.module_fields(name, preset)
    module = zoo.build(name, preset, SHAPE)
    assert {key: getattr(module, key) for key in fields} == fields
    assert not {'parent', 'name', 'observation_shape'} & set(fields)


def test_build_replaces_fields():
  assert zoo.build('statistician', 'small', SHAPE, width=5).width == 5


@pytest.mark.parametrize('name', zoo.ZOO)
def test_every_model_has_a_configuration(name, monkeypatch):
  monkeypatch.syspath_prepend(str(ROOT / 'experiments'))
  configs = importlib.import_module(f'configs.{name}').CONFIGS
  assert set(configs) == set(zoo.ZOO[name].presets)
  for preset, config in configs.items():
    assert (config.model, config.preset) == (name, preset)


@pytest.mark.parametrize('name', zoo.ZOO)
def test_every_model_has_a_row_in_the_readme(name):
  assert f'| `{name}`' in (ROOT / 'README.md').read_text()


def sources():
  paths = [*ROOT.glob('gen1shot/**/*.py'), *ROOT.glob('experiments/**/*.py')]
  return [path.read_text() for path in paths if path.name != 'config.py']


def test_every_field_of_a_configuration_is_read():
  # Checks do not count as readers, properties do.
  properties = [
    inspect.getsource(member.fget)
    for _, member in inspect.getmembers(Config)
    if isinstance(member, property)
  ]
  text = '\n'.join([*sources(), *properties])
  read = set(re.findall(r'\b(?:config|self)\.(\w+)', text))
  fields = {field.name for field in dataclasses.fields(Config)}
  assert fields - read == set()


@pytest.mark.parametrize('name', zoo.ZOO)
def test_every_field_of_a_model_is_read(name):
  module = zoo.ZOO[name].module
  text = inspect.getsource(module)
  read = set(re.findall(r'\bself\.(\w+)', text))
  assert set(zoo.module_fields(name, 'small')) - read == set()
