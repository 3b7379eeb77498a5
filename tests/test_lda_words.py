"""LDA: which words matter to what, its texts, and its fields."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from lda_exact import ALPHA, PROFILES, make, phi
from odds import SIGMAS
from questions import streams
from tiny_words import V

from gen1shot.errors import InputError
from gen1shot.models.lda import LDA

X = np.array([1, 3, 3, 0, 1])
# The same words and two that do not count, one of them in the middle.
HOLES = np.array([1, 3, 2, 3, 0, 1, 0])
MASK = np.array([1, 1, 0, 1, 1, 1, 0], bool)
ORDER = np.array([3, 0, 4, 2, 1])
K = 4500


@pytest.fixture(scope='module', params=PROFILES)
def lda(request):
  return make(request.param, topics=2, alpha=ALPHA)


# --- prefixes and order


def test_the_posterior_told_the_counts_alone_is_that_of_embed(lda):
  q = lda('embed', X)
  counts = jnp.float32(np.bincount(X, minlength=V))
  expected = lda.module.apply(
    {'params': lda.params}, counts, method='_posterior'
  ).laplace()
  np.testing.assert_allclose(q.mean, expected.mean, rtol=1e-5)
  np.testing.assert_allclose(q.logvar, expected.logvar, rtol=1e-5)


def test_later_words_change_no_earlier_log_weight(lda):
  before = lda('log_weights', X, 5)
  for t in range(len(X)):
    changed = X.copy()
    changed[t:] = (X[t:] + 1) % V
    after = lda('log_weights', changed, 5)
    np.testing.assert_array_equal(after[:, :t], before[:, :t])
    assert (after[:, t] != before[:, t]).all()


def test_the_order_of_words_matters_to_prefixes_alone(lda):
  turned = X[ORDER]
  for method, args in (
    ('joint_log_weights', (5,)),
    ('embed', ()),
    ('predict', (5,)),
  ):
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5),
      lda(method, X, *args),
      lda(method, turned, *args),
    )
  bounds = lda('bound', X), lda('bound', turned)
  assert bounds[0].elbo() == pytest.approx(float(bounds[1].elbo()), rel=1e-5)
  weights = lda('log_weights', X, 5), lda('log_weights', turned, 5)
  assert abs(weights[0][:, ORDER] - weights[1]).max() > 1e-2


# --- masks


def test_words_that_do_not_count_are_as_if_not_there(lda):
  for method, args in (
    ('joint_log_weights', (5,)),
    ('predict', (5,)),
    ('embed', ()),
  ):
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6),
      lda(method, HOLES, *args, MASK),
      lda(method, X, *args),
    )
  masked, without = lda('bound', HOLES, MASK), lda('bound', X)
  np.testing.assert_allclose(
    masked.log_likelihood[MASK], without.log_likelihood, rtol=1e-6
  )
  np.testing.assert_array_equal(masked.log_likelihood[~MASK], 0.0)
  assert masked.kl_context == without.kl_context > 0


def test_an_empty_document_costs_nothing(lda):
  nothing = np.zeros(len(HOLES), bool)
  # nothing but rounding
  bound = lda('bound', HOLES, nothing)
  assert bound.kl_context == pytest.approx(0, abs=1e-6)
  assert bound.elbo() == -bound.kl_context
  joint = lda('joint_log_weights', HOLES, 5, nothing)
  np.testing.assert_allclose(joint, 0.0, atol=1e-5)
  weights = lda('log_weights', HOLES, 5, nothing)
  np.testing.assert_array_equal(weights, 0.0)


def test_without_words_the_posterior_is_the_prior(lda):
  for q in (
    lda('embed', HOLES, np.zeros(len(HOLES), bool)),
    lda('embed', []),
  ):
    # of 2 topics the variance is (1 / alpha) (1 - 1 / 2)
    np.testing.assert_allclose(q.mean, 0.0, atol=1e-6)
    np.testing.assert_allclose(jnp.exp(q.logvar), 0.5 / ALPHA, rtol=1e-5)


# --- texts, and fields


@pytest.mark.parametrize('profile', PROFILES)
def test_composed_words_share_a_profile(profile):
  lda = make(profile, topics=2, alpha=0.3)
  lda.params['topic_logits'] = 3 * jnp.eye(2, V)
  texts = np.asarray(lda('compose', X[:2], K))
  assert texts.shape == (K, 2)
  found = np.zeros((V, V))
  np.add.at(found, tuple(texts.T), 1 / K)
  p = np.asarray(lda('predict', X[:2], K, key=1), float)
  pairs = p[:, :, None] * p[:, None, :]
  expected = pairs.mean(0)
  error = ((expected * (1 - expected) + pairs.var(0)) / K) ** 0.5
  assert (abs(found - expected) < SIGMAS * error).all()
  # With a profile for each word they would be independent.
  independent = np.outer(p.mean(0), p.mean(0))
  assert (abs(found - independent) > 2 * SIGMAS * error).any()


def test_topic_words_are_the_topics(lda):
  topics = lda.module.apply({'params': lda.params}, method='topic_words')
  np.testing.assert_allclose(topics, phi(lda), rtol=1e-5)


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    ({'profile': 'dirichlets'}, 'did you mean .dirichlet.'),
    ({'topics': 1}, 'at least 2 topics and alpha > 0; got topics 1, alpha 1.0'),
    ({'topics': 0}, 'topics must be >= 1; got 0'),
    ({'hidden': 0}, 'hidden must be >= 1; got 0'),
    ({'alpha': 0.0}, 'got topics 10, alpha 0.0'),
    ({'alpha': float('nan')}, 'alpha nan'),
  ],
)
def test_fields_without_meaning_are_refused(fields, message):
  module = LDA((V,), **fields)
  with pytest.raises(InputError, match=message):
    module.init(
      streams(jax.random.key(0)), jnp.zeros(2, jnp.int32), method='bound'
    )
