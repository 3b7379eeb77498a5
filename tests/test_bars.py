"""The bars corpus: its statistics against those of its distribution."""

import numpy as np
import pytest
from odds import SIGMAS
from toy_sources import PARTS, refused

from gen1shot.data import bars, sources


@pytest.fixture(scope='module')
def source():
  return sources.load('bars')


@pytest.fixture(scope='module')
def counts():
  """How often each word occurs in each of 20,000 documents, [20000, 25]."""
  documents = bars.sample(np.random.default_rng(1), 20_000)
  return np.stack([np.bincount(row, minlength=25) for row in documents])


def test_topics_are_the_rows_and_columns():
  assert bars.TOPICS.shape == (10, 25)
  pictures = bars.TOPICS.reshape(10, 5, 5)
  for i in range(5):
    row = np.zeros((5, 5))
    row[i] = 0.2
    np.testing.assert_array_equal(pictures[i], row)
    np.testing.assert_array_equal(pictures[5 + i], row.T)


def test_parts_have_their_documents(source):
  for part, number in zip(PARTS, (2000, 200, 400), strict=True):
    dataset = getattr(source, part)
    assert dataset.num_classes == number
    assert dataset.object_shape == (25,)
    np.testing.assert_array_equal(dataset.sizes, 100)
    words = np.asarray(dataset.words)
    assert set(words) == set(range(25))
  own = {
    part: {row.tobytes() for row in documents(getattr(source, part))}
    for part in PARTS
  }
  assert len(set.union(*own.values())) == 2600


def documents(dataset):
  return np.asarray(dataset.words).reshape(-1, 100)


def test_words_are_named_by_their_pixel(source):
  vocabulary = source.vocabulary
  assert vocabulary.words[0] == 'r0c0'
  assert vocabulary.words[7] == 'r1c2'
  assert vocabulary.encode(['r4c4']) == 24
  np.testing.assert_array_equal(
    vocabulary.counts, np.bincount(source.train.words)
  )


def test_the_corpus_is_always_the_same(source):
  again = sources.load('bars', seed=1)
  assert again.fingerprint == source.fingerprint
  np.testing.assert_array_equal(again.test.words, source.test.words)
  # Published: it may not change with a version of anything.
  assert documents(source.train)[0, :8].tolist() == [13, 9, 4, 2, 0, 20, 15, 4]


def test_bars_have_one_split():
  refused('split', 'bars', name='bars', split='weak')


# --- statistics

L = bars.DOCUMENT_LENGTH


def test_every_word_is_as_frequent(counts):
  assert_mean(counts, L / 25)


def test_words_occur_together_as_their_topics_do(counts):
  # Of two words of a document, E[p(w) p(w')] = TOPICS^T E[m m^T] TOPICS, and
  # a Dirichlet of alpha 1 for 10 topics has E[m m^T] = (1 + identity) / 110.
  moments = (1 + np.eye(10)) / 110
  expected = bars.TOPICS.T @ moments @ bars.TOPICS
  pairs = counts[:, :, None] * counts[:, None, :]
  pairs -= np.eye(25, dtype=int) * counts[:, :, None]
  assert_mean(pairs / (L * (L - 1)), expected)


def test_topics_come_in_the_order_of_chance(source):
  # The words of a document are exchangeable: the first half is as the second.
  rows = documents(source.train)
  halves = [
    np.stack([np.bincount(row, minlength=25) for row in half])
    for half in np.split(rows, 2, axis=1)
  ]
  assert_mean(halves[0] - halves[1], 0)


def assert_mean(samples, expected):
  """The mean over the first axis is within chance of what is expected."""
  stderr = samples.std(0) / len(samples) ** 0.5
  assert (stderr > 0).all()
  assert (np.abs(samples.mean(0) - expected) < SIGMAS * stderr).all()
