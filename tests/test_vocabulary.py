"""Tokens of a text, numbers of words, and the way back."""

import json

import numpy as np
import pytest
from toy_sources import check_message

from gen1shot.data.vocabulary import UNKNOWN, Vocabulary, tokenise
from gen1shot.errors import InputError


@pytest.mark.parametrize(
  ('text', 'tokens'),
  [
    ('', []),
    (' \t\n', []),
    ('The CAT sat.', ['the', 'cat', 'sat', '.']),
    (
      "Don't! 'Tis o'er, dogs'",
      ["don't", '!', "'", 'tis', "o'er", ',', 'dogs', "'"],
    ),
    ('Don\u2019t', ["don't"]),
    ('in 1604, 3.5', ['in', '1604', ',', '3', '.', '5']),
    ('2nd_part', ['2', 'nd', '_', 'part']),
    ('(a)--b', ['(', 'a', ')', '-', '-', 'b']),
    ('\u00c9T\u00c9 e\u0301', ['\u00e9t\u00e9', '\u00e9']),  # one way to write
    ('\u041c\u0438\u0440 \u4e16', ['\u043c\u0438\u0440', '\u4e16']),
    ('an <unk> word', ['an', UNKNOWN, 'word']),
    ('<unknown>', ['<', 'unknown', '>']),
  ],
)
def test_tokens(text, tokens):
  assert tokenise(text) == tokens


DOCUMENTS = [
  ['b', 'c', 'a', 'b', 'd', 'd'],
  ['b', 'e', 'a', 'c', UNKNOWN],
]


def test_the_most_frequent_words_are_kept_ties_alphabetically():
  vocabulary = Vocabulary.build(DOCUMENTS, size=3, least=1)
  assert vocabulary.words == (UNKNOWN, 'b', 'a', 'c')
  assert vocabulary.counts == (4, 3, 2, 2)  # d d e <unk>
  assert len(vocabulary) == 4


def test_rare_words_are_unknown():
  vocabulary = Vocabulary.build(DOCUMENTS, size=9, least=2)
  assert vocabulary.words == (UNKNOWN, 'b', 'a', 'c', 'd')
  assert vocabulary.counts == (2, 3, 2, 2, 2)
  assert sum(vocabulary.counts) == sum(map(len, DOCUMENTS))


def test_the_order_of_documents_does_not_matter():
  assert Vocabulary.build(DOCUMENTS[::-1], 9, 1) == Vocabulary.build(
    DOCUMENTS, 9, 1
  )


def test_numbers_are_places_and_the_unknown_is_0():
  vocabulary = Vocabulary.build(DOCUMENTS, size=3, least=1)
  numbers = vocabulary.encode(['c', 'b', 'zebra', UNKNOWN, 'a'])
  assert numbers.dtype == np.int32
  assert numbers.tolist() == [3, 1, 0, 0, 2]
  assert vocabulary.encode([]).shape == (0,)


def test_without_an_unknown_word_all_must_be_known():
  vocabulary = Vocabulary(('x', 'y'), (1, 1))
  assert vocabulary.encode('yx').tolist() == [1, 0]
  with pytest.raises(InputError) as caught:
    vocabulary.encode('xz')
  check_message(str(caught.value), ['x to y', "got 'z'"])


TEXT = """First Citizen: (aside) Don't speak, 'tis 3.5 o'er; <unk> [what?]
  dogs' "go" -- {so it is}! e.g. rock 'n' roll... ) ( . x"""


def test_words_survive_the_round_trip():
  tokens = tokenise(TEXT)
  vocabulary = Vocabulary.build([tokens], 99, 1)
  text = vocabulary.decode(vocabulary.encode(tokens))
  assert tokenise(text) == tokens
  assert text.startswith("first citizen: (aside) don't speak, ' tis 3.")
  assert '{so it is}!' in text


def test_json_round_trip():
  vocabulary = Vocabulary.build([tokenise(TEXT + ' \u00e9')], 99, 1)
  text = vocabulary.to_json()
  assert '\n' not in text
  assert Vocabulary.from_json(text) == vocabulary


@pytest.mark.parametrize(
  'fields',
  [
    {'words': ['a']},
    {'words': ['a', 'a'], 'counts': [1, 1]},
    {'words': ['a'], 'counts': [1, 1]},
    {'words': [], 'counts': []},
    {'words': [1], 'counts': [1]},
    {'words': [['a']], 'counts': [1]},
    {'words': 'ab', 'counts': [1, 1]},
    {'words': ['a'], 'counts': [-1]},
    {'words': ['a'], 'counts': [1.0]},
    {'words': ['a'], 'counts': [True]},
    {'words': 1, 'counts': 1},
    ['a'],
    None,
  ],
)
def test_a_damaged_vocabulary_is_refused(fields):
  check_refused(json.dumps(fields))


@pytest.mark.parametrize('text', ['', '{"words": [', 'words\n'])
def test_what_is_no_json_is_refused(text):
  check_refused(text)


def check_refused(text):
  with pytest.raises(InputError) as caught:
    Vocabulary.from_json(text)
  check_message(
    str(caught.value), ['different words and a count of each', repr(text[:40])]
  )
