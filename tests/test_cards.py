"""Cards: whole, of the right types, the same after reading."""

import dataclasses
import json
import pathlib

import pytest
from tiny import CONFIG

from gen1shot.cards import Card, Measured
from gen1shot.data.vocabulary import Vocabulary
from gen1shot.errors import InputError
from gen1shot.workdir import Data

PATH = pathlib.Path('tiny.json')
FIGURE = Measured('a/b', -80.5, 3.0, {'K': 7, 'task': 'x'}, 1.5, 'cpu', 'now')
CARD = Card(
  name='tiny',
  title='A small model',
  config=CONFIG,
  step=40,
  data=Data('f', 'images', (8, 8, 1)),
  vocabulary=None,
  command='python experiments/train.py',
  commit=None,
  hardware='two cores',
  training_seconds=None,
  date='2020-02-02',
  parameters=3,
  dtype='float16',
  sha256='00',
  figures=(FIGURE,),
)
LEAVES = [field.name for field in dataclasses.fields(Card)]


def changed(**fields):
  return json.dumps(json.loads(CARD.to_json()) | fields)


@pytest.mark.parametrize(
  'card',
  [
    CARD,
    dataclasses.replace(
      CARD,
      vocabulary=Vocabulary(('a', 'b'), (2, 1)),
      commit='abc',
      training_seconds=1.5,
      figures=(),
    ),
  ],
)
def test_a_card_is_read_as_it_was_written(card):
  assert Card.from_json(card.to_json(), PATH) == card


@pytest.mark.parametrize('name', LEAVES)
def test_a_card_that_lacks_a_field_is_refused(name):
  values = json.loads(CARD.to_json())
  del values[name]
  with pytest.raises(InputError, match=f'tiny.json .* it lacks {name}$'):
    Card.from_json(json.dumps(values), PATH)


@pytest.mark.parametrize('name', LEAVES)
def test_a_field_of_another_type_is_refused(name):
  with pytest.raises(InputError, match=f'{name} is of another type: True'):
    Card.from_json(changed(**{name: True}), PATH)


@pytest.mark.parametrize(
  ('text', 'expected'),
  [
    ('{"name"', 'no JSON'),
    ('[' * 10**6, 'no JSON'),
    ('[1]', r'must be fields; got \[1\]'),
    (changed(colour='red'), 'it adds colour'),
    (changed(config={'widht': 8}), 'got widht'),
    (changed(config={'steps': 0}), 'steps must be > 0'),
    (changed(data={'kind': 'images'}), "it lacks 'object_shape'"),
    (
      changed(data={'fingerprint': 3, 'kind': 'images', 'object_shape': []}),
      'fingerprint must be text',
    ),
    (
      changed(data={'fingerprint': 'f', 'kind': 'a', 'object_shape': []}),
      "kind one of .'images'",
    ),
    (changed(dtype='foo'), "dtype must be one of .*; got 'foo'"),
    (changed(vocabulary={'words': ['a', 'a']}), 'vocabulary'),
    (changed(figures=[{'cell': 'a/b'}]), 'it lacks date, device'),
    (changed(figures=['a/b']), 'must be fields; got a/b'),
  ],
)
def test_what_is_no_card_is_refused_with_the_reason(text, expected):
  with pytest.raises(InputError, match=expected) as caught:
    Card.from_json(text, PATH)
  assert '\n' not in str(caught.value)
  assert len(str(caught.value)) < 300


def test_a_field_of_a_newer_version_of_the_training_has_its_default():
  values = json.loads(CARD.to_json())
  del values['config']['free_bits']
  assert Card.from_json(json.dumps(values), PATH) == CARD
