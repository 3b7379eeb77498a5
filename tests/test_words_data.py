"""A folder of texts: what is read, how it is split, what is refused."""

import itertools
import os

import numpy as np
import pytest
from toy_sources import PARTS, refused

from gen1shot.data import bars, corpus, sources
from gen1shot.data.vocabulary import UNKNOWN, Vocabulary, tokenise


def distinct_texts(count):
  """Different texts of common words and one word of their own."""
  return [
    f'The {"very " * (i % 3)}end of w{chr(97 + i)}!' for i in range(count)
  ]


def load(path, seed=0):
  return sources.load('words', data_dir=str(path), seed=seed)


def texts(source, part):
  """The documents of a part as lists of words."""
  dataset = getattr(source, part)
  stops = dataset.offsets + dataset.sizes
  return [
    tuple(source.vocabulary.words[i] for i in dataset.words[start:stop])
    for start, stop in zip(dataset.offsets, stops, strict=True)
  ]


@pytest.fixture
def folder(tmp_path):
  """21 paragraphs in three texts, and what is to be skipped."""
  path = tmp_path / 'texts'
  (path / 'deep' / 'er').mkdir(parents=True)
  (path / '.git').mkdir()
  own = distinct_texts(21)
  (path / 'a.txt').write_text('\n\n'.join(own[:7]) + '\n\n \n\t\n\n', 'utf-8')
  (path / 'deep' / 'b.MD').write_bytes(
    b'\xef\xbb\xbf' + '\r\n\r\n'.join(own[7:14]).encode()
  )
  (path / 'deep' / 'er' / 'c.rst').write_text('\n  \n'.join(own[14:]), 'utf-8')
  for skipped in ('notes.csv', '.d.txt', '.git/e.txt'):
    (path / skipped).write_bytes(b'\xff')
  return path


def test_every_paragraph_is_in_one_part(folder):
  source = load(folder)
  documents = {part: texts(source, part) for part in PARTS}
  assert [len(documents[part]) for part in PARTS] == [17, 2, 2]
  # The word of its own is unknown: it occurs once.
  known = {UNKNOWN, '!', 'end', 'of', 'the', 'very'}
  assert set(source.vocabulary.words) == known
  found = sorted(itertools.chain(*documents.values()))
  expected = [
    tuple(word if word in known else UNKNOWN for word in tokenise(text))
    for text in distinct_texts(21)
  ]
  assert found == sorted(expected)
  assert source.train.kind == 'words'
  assert source.train.object_shape == (len(source.vocabulary),)


def test_parts_follow_the_seed_and_not_the_files(folder, tmp_path):
  one = tmp_path / 'one'
  one.mkdir()
  (one / 'all.txt').write_text(
    '\n\n'.join(reversed(distinct_texts(21))), 'utf-8'
  )
  source, again, other = load(folder), load(one), load(folder, seed=1)
  assert again.fingerprint == source.fingerprint
  assert again.vocabulary == source.vocabulary
  for part in PARTS:
    assert texts(again, part) == texts(source, part)
  assert other.fingerprint != source.fingerprint


def test_the_same_words_are_one_document():
  distinct = [f'{"so " * (i + 1)}on' for i in range(30)]
  repeated = [text.upper().replace(' ', '\n') for text in distinct]
  once = corpus.make(['\n\n'.join(distinct)], 0, 'here')
  twice = corpus.make(['\n\n'.join(distinct + repeated)] * 2, 0, 'here')
  assert twice.vocabulary == once.vocabulary
  lengths = [len(d) for part in PARTS for d in twice.parts[part]]
  assert sorted(lengths) == list(range(2, 32))
  for part in PARTS:
    for a, b in zip(once.parts[part], twice.parts[part], strict=True):
      np.testing.assert_array_equal(a, b)


def test_the_vocabulary_is_that_of_the_training_part():
  # Every word stands twice in one paragraph and nowhere else.
  words = [chr(97 + i) * 3 for i in range(20)]
  made = corpus.make(['\n\n'.join(f'{word} {word}' for word in words)], 0, '')
  assert len(made.parts['train']) == 16
  assert made.vocabulary.counts == (0, *[2] * 16)
  assert list(made.vocabulary.words[1:]) == sorted(made.vocabulary.words[1:])
  for part in ('valid', 'test'):
    for document in made.parts[part]:
      np.testing.assert_array_equal(document, [0, 0])


def test_the_vocabulary_has_a_limit(monkeypatch):
  monkeypatch.setattr(corpus, 'MAX_WORDS', 1)
  made = corpus.make(['\n\n'.join(distinct_texts(9))], 0, 'here')
  assert made.vocabulary.words[0] == UNKNOWN
  assert len(made.vocabulary) == 2


# --- the fingerprint


def test_the_fingerprint_notices_words_order_and_parts(print_of):
  before = print_of({})
  assert before == print_of({})
  assert before != print_of({'train': [[0, 1, 2], [1, 1]]})
  assert before != print_of({'train': [[0], [1, 1, 2]]})
  assert before != print_of({'train': [[0, 1], [1, 2], [1]], 'valid': [[2]]})
  assert before != print_of({}, 'abd')


@pytest.fixture
def print_of(monkeypatch):
  """The fingerprint of a few documents after a change."""

  def print_of(change, words='abc'):
    parts = {'train': [[0, 1], [1, 2]], 'valid': [[1], [2]], 'test': [[0]]}
    made = corpus.Corpus(
      {
        part: [np.array(document, np.int32) for document in documents]
        for part, documents in (parts | change).items()
      },
      Vocabulary(tuple(words), (1, 2, 1)),
    )
    monkeypatch.setattr(bars, 'load', lambda: made)
    return sources.load('bars').fingerprint

  return print_of


# --- mistakes


def test_a_folder_is_needed(tmp_path):
  refused('--data_dir', '.txt', 'got none', name='words')
  refused('must be a folder', name='words', data_dir=str(tmp_path / 'absent'))
  (tmp_path / 'a.csv').write_text('no text')
  refused('.txt, .md or .rst', tmp_path, name='words', data_dir=str(tmp_path))


@pytest.mark.parametrize(
  ('text', 'expected'),
  [
    ('', 'got 0'),
    ('one\n\ntwo\n\nTwo\n\n\n\none', 'got 2'),
    ('one\ntwo\nthree', 'got 1'),
    ('one\n\ntwo\n\nthree', 'occur 2 times'),
  ],
)
def test_short_texts(tmp_path, text, expected):
  (tmp_path / 'a.txt').write_text(text)
  refused(expected, tmp_path, name='words', data_dir=str(tmp_path))


def test_a_text_that_is_not_utf_8_is_named(folder):
  path = folder / 'deep' / 'bad.txt'
  path.write_bytes(b'caf\xe9 au lait')
  refused('UTF-8', path, 'byte 3', name='words', data_dir=str(folder))


def test_a_text_that_cannot_be_read_is_named(folder):
  path = folder / 'gone.txt'
  path.symlink_to(folder / 'absent')
  refused(path, 'cannot be read', name='words', data_dir=str(folder))


def test_a_subfolder_that_cannot_be_read_is_named(folder, monkeypatch):
  scandir = os.scandir

  def locked(path):
    if os.path.basename(path) == 'er':
      raise PermissionError(13, 'Permission denied', str(path))
    return scandir(path)

  # Its rights would not stop the superuser.
  monkeypatch.setattr(os, 'scandir', locked)
  deep = folder / 'deep' / 'er'
  refused(deep, 'cannot be read', name='words', data_dir=str(folder))
