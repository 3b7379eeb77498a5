"""Small files of data, and what loading them refuses."""

import pytest

from gen1shot.data import sources
from gen1shot.errors import InputError

PARTS = ('train', 'valid', 'test')
BACKGROUND = [f'Old_{i:02}' for i in range(30)]
EVALUATION = [f'New_{i:02}' for i in range(20)]
CHARACTERS = 5
DRAWERS = 2


def refused(*expected, name='omniglot', **arguments):
  """Loads, which must fail with one line that contains all of `expected`."""
  with pytest.raises(InputError) as caught:
    sources.load(name, **arguments)
  check_message(str(caught.value), expected)


def check_message(message, expected):
  assert '\n' not in message, message
  for text in expected:
    assert str(text) in message, message
