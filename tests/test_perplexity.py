"""Perplexity: which words are scored, and what comes out of it."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from tiny_words import Tiny, V

from gen1shot.data.documents import Documents
from gen1shot.errors import InputError
from gen1shot.evaluation import perplexity

LENGTH = 3
TEXTS = [
  np.array(text, np.int32)
  for text in ([0, 3, 3, 1, 2, 0, 1], [], [2, 2, 1], [1, 0, 3, 2], [3])
]
# Pieces of up to three words, in order.
PASSAGES = [
  text[first : first + LENGTH]
  for text in TEXTS
  for first in range(0, len(text), LENGTH)
]


@pytest.fixture(scope='module')
def documents():
  return Documents.stack(TEXTS, V)


def score(model, documents, length=LENGTH, K=4):
  return perplexity.score(
    model.module, model.params, documents, length, K, jax.random.key(0)
  )


@pytest.mark.parametrize('length', [1, 3, 7, 20])
def test_perplexity_of_a_unigram_model_is_that_of_its_frequencies(
  documents, length
):
  unigram = Tiny('unigram')
  log_p = np.asarray(unigram.params['log_frequencies'], float)
  expected = np.exp(-log_p[np.concatenate(TEXTS)].mean())
  scores = score(unigram, documents, length)
  assert scores.perplexity().mean == pytest.approx(expected, rel=1e-5)
  assert scores.perplexity_bound().mean == pytest.approx(expected, rel=1e-5)
  assert scores.words.sum() == 15
  np.testing.assert_array_equal(scores.kl, 0.0)


def test_perplexity_of_equal_words_is_their_number(documents):
  unigram = Tiny('unigram')
  unigram.params['log_frequencies'] = jnp.full(V, -jnp.log(V))
  scores = score(unigram, documents)
  assert scores.perplexity().mean == pytest.approx(V, rel=1e-6)


def test_every_word_is_scored_once_in_passages_of_one_document(documents):
  unigram = Tiny('unigram')
  log_p = np.asarray(unigram.params['log_frequencies'])
  scores = score(unigram, documents)
  np.testing.assert_array_equal(scores.words, [3, 3, 1, 3, 3, 1, 1])
  expected = [log_p[passage].sum() for passage in PASSAGES]
  np.testing.assert_allclose(scores.log_p, expected, rtol=1e-5)


def test_figures_are_pooled_over_words_and_not_over_passages():
  scores = perplexity.Scores(
    words=np.array([1, 3]),
    log_p=np.array([-2.0, -3.0]),
    bound=np.array([-2.5, -3.5]),
    kl=np.array([0.1, 0.2]),
  )
  assert scores.perplexity().mean == pytest.approx(np.exp(5 / 4))
  assert scores.perplexity_bound().mean == pytest.approx(np.exp(6 / 4))


def test_the_error_of_a_perplexity_is_that_of_other_passages():
  rng = np.random.default_rng(0)

  def drawn():
    words = rng.integers(1, 20, 300)
    log_p = -2.0 * words - rng.normal(size=300) * words**0.5 - 1
    return perplexity.Scores(words, log_p, log_p - 1, words * 0.0)

  figures = [drawn().perplexity() for _ in range(400)]
  scatter = np.std([figure.mean for figure in figures], ddof=1)
  # 400 drawings tell it to 3.5 %.
  errors = [figure.stderr for figure in figures]
  assert np.mean(errors) == pytest.approx(scatter, rel=0.12)


@pytest.mark.parametrize('number', [1, 3])
def test_empty_documents_alone_are_refused(number):
  nothing = Documents.stack([np.zeros(0, np.int32)] * number, V)
  with pytest.raises(InputError, match='must hold words; got only empty ones'):
    score(Tiny('unigram'), nothing)


def test_a_latent_is_integrated_out_of_every_passage(documents):
  """2 topics and passages of up to 3 words: the truth is a sum."""
  lda = Tiny('lda-dirichlet', topics=2, scale=0.3)
  lda.params['topic_logits'] *= 5
  phi = scipy.special.softmax(np.float64(lda.params['topic_logits']), -1)

  def probability(x):
    total = 0.0
    for topics in itertools.product(range(2), repeat=len(x)):
      # alpha 1: the first of two topics is as likely as k + 1 of n + 2.
      n = len(x)
      prior = 1 / ((n + 1) * scipy.special.comb(n, sum(topics)))
      total += prior * phi[list(topics), x].prod()
    return total

  exact = np.log([probability(x) for x in PASSAGES])
  scores = score(lda, documents, K=4000)
  np.testing.assert_allclose(scores.log_p, exact, atol=0.03)
  # a bound that can be told from it
  assert (scores.bound < scores.log_p).all()
  assert (exact - scores.bound).max() > 0.06
  assert scores.perplexity().mean < scores.perplexity_bound().mean
  expected = np.exp(-exact.sum() / 15)
  assert scores.perplexity().mean == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize('name', ['lda-gaussian', 'lm-gru'])
def test_more_samples_bound_perplexity_more_tightly(name, documents):
  model = Tiny(name)
  one, many = score(model, documents, K=1), score(model, documents, K=500)
  assert one.perplexity().mean == pytest.approx(
    one.perplexity_bound().mean, rel=1e-6
  )
  assert many.perplexity().mean < many.perplexity_bound().mean
  assert many.perplexity().mean < one.perplexity().mean


@pytest.mark.parametrize('name', ['lda-gaussian', 'lm-gru'])
def test_kl_is_that_of_the_words_of_a_passage(name, documents):
  model = Tiny(name)
  expected = [model('bound', passage).kl_context for passage in PASSAGES]
  scores = score(model, documents)
  np.testing.assert_allclose(scores.kl, expected, rtol=1e-4)
  assert (scores.kl > 1e-3).all()
