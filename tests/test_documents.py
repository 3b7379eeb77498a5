"""Passages of documents: which words, from where, what is masked."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from odds import P_VALUE

from gen1shot.data.documents import Documents
from gen1shot.data.episodes import (
  EpisodeSpec,
  passage,
  sample_episode,
  sample_episodes,
)
from gen1shot.errors import InputError

T = 5
SIZES = (3, 0, 12, T, 1, T + 1, 0)
EPISODES = 14_000
# Word i stands at one place only: it tells its document and its number.
V = sum(SIZES)
OFFSETS = np.cumsum(SIZES) - SIZES


@pytest.fixture(scope='module')
def documents():
  words = np.arange(V, dtype=np.int32)
  return Documents.stack(np.split(words, OFFSETS[1:]), V)


@pytest.fixture(scope='module')
def passages(documents):
  spec = EpisodeSpec(EPISODES, T)
  sample = jax.jit(lambda key, data: sample_episodes(key, data, spec))
  return jax.device_get(sample(jax.random.key(0), documents))


def test_documents_know_their_sizes(documents):
  assert documents.kind == 'words'
  assert documents.num_classes == len(SIZES)
  assert documents.smallest_class == 0
  assert documents.object_shape == (V,)
  ids = jnp.arange(len(SIZES)).reshape(1, -1)
  np.testing.assert_array_equal(documents.class_size(ids), [SIZES])


def test_exemplars_are_the_words_in_order(documents):
  for document, size in enumerate(SIZES):
    for number in range(size):
      word = documents.exemplar(jnp.int32(document), jnp.int32(number))
      assert word.dtype == jnp.int32
      assert word == OFFSETS[document] + number


def test_behind_the_end_stands_some_word(documents):
  row = jax.vmap(documents.exemplar, (None, 0))
  for document in range(len(SIZES)):
    words = row(jnp.int32(document), jnp.arange(4 * V))
    assert ((words >= 0) & (words < V)).all()


# --- passages


def test_words_come_as_numbers_under_a_mask(passages):
  assert passages.objects.shape == passages.mask.shape == (EPISODES, T)
  assert passages.objects.dtype == np.int32
  assert passages.mask.dtype == bool
  assert ((passages.objects >= 0) & (passages.objects < V)).all()
  np.testing.assert_array_equal(passages.starts[:, 0], True)
  assert not passages.starts[:, 1:].any()


def test_documents_are_uniform_and_label_their_words(passages):
  assert (passages.labels == passages.labels[:, :1]).all()
  counts = np.bincount(passages.labels[:, 0], minlength=len(SIZES))
  assert scipy.stats.chisquare(counts).pvalue > P_VALUE


def test_what_is_behind_the_end_of_a_document_is_masked(passages):
  sizes = np.minimum(np.take(SIZES, passages.labels[:, 0]), T)
  np.testing.assert_array_equal(passages.mask, np.arange(T) < sizes[:, None])


def test_a_passage_is_contiguous_words_of_its_document(passages):
  steps = np.diff(passages.objects, axis=1)
  assert (steps[passages.mask[:, 1:]] == 1).all()
  document = np.searchsorted(np.cumsum(SIZES), passages.objects, 'right')
  np.testing.assert_array_equal(
    document[passages.mask], passages.labels[passages.mask]
  )


@pytest.mark.parametrize('document', range(len(SIZES)))
def test_places_of_a_passage_are_uniform(passages, document):
  size = SIZES[document]
  own = passages.labels[:, 0] == document
  first = passages.objects[own & passages.mask[:, 0], 0] - OFFSETS[document]
  if size <= T:  # all of it
    assert not first.any()
    assert len(first) == (own.sum() if size else 0)
  else:
    counts = np.bincount(first)
    assert len(counts) == size - T + 1
    assert scipy.stats.chisquare(counts).pvalue > P_VALUE


def test_a_passage_may_begin_anywhere(documents):
  words, mask = passage(documents, jnp.int32(2), jnp.int32(9), T)
  np.testing.assert_array_equal(mask, [1, 1, 1, 0, 0])
  np.testing.assert_array_equal(words[:3], OFFSETS[2] + [9, 10, 11])


def test_a_key_determines_the_passages_under_jit_or_not(documents, key):
  spec = EpisodeSpec(3, T)
  plain = sample_episodes(key, documents, spec)
  compiled = jax.jit(lambda key: sample_episodes(key, documents, spec))
  chex.assert_trees_all_equal(plain, compiled(key))
  other = compiled(jax.random.key(1))
  assert (plain.labels != other.labels).any()


def test_documents_without_any_word_are_masked(key):
  nothing = Documents.stack([np.zeros(0, np.int32)] * 2, 4)
  drawn = sample_episodes(key, nothing, EpisodeSpec(3, T))
  assert not drawn.mask.any()
  assert ((drawn.objects >= 0) & (drawn.objects < 4)).all()


# --- mistakes


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    ({'dihedral': True}, 'dihedral is not for words'),
    ({'dilation': True}, 'dilation is not for words'),
    ({'shift': True}, 'shift is not for words'),
    ({'affine': True}, 'affine is not for words'),
    ({'replacement': True}, 'replacement is not for words'),
    ({'max_classes': 2}, 'not for words.*got 2 classes, 1 sets'),
    ({'length': 0}, 'length must be >= 1; got 0'),
  ],
)
def test_episodes_that_are_no_passages_are_refused(
  documents, key, fields, message
):
  spec = EpisodeSpec(**({'batch_size': 2, 'length': T} | fields))
  with pytest.raises(InputError, match=message):
    sample_episodes(key, documents, spec)


def test_sets_in_a_row_are_refused(documents, key):
  with pytest.raises(InputError, match='got 1 classes, 5 sets'):
    sample_episode(key, documents, EpisodeSpec(1, T), jnp.int32(2))
