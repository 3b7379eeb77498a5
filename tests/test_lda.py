"""LDA against enumeration of topics, quadrature, and closed forms."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from lda_exact import (
  ALPHA,
  PROFILES,
  by_enumeration,
  by_quadrature,
  exact,
  make,
  phi,
)
from odds import SIGMAS
from recurrent import assert_estimates
from tiny_words import V, assert_same_mean

X = np.array([1, 3, 3, 0, 1])
# The same words and two that do not count, one of them in the middle.
HOLES = np.array([1, 3, 2, 3, 0, 1, 0])
MASK = np.array([1, 1, 0, 1, 1, 1, 0], bool)
# Of more than 2^15 figures at once, K T, jaxlib 0.10.2 has some wrong on CPUs:
# github.com/jax-ml/jax/issues/39103.
K = 4500


@pytest.fixture(scope='module', params=PROFILES)
def lda(request):
  return make(request.param, topics=2, alpha=ALPHA)


# --- log p(x_1..x_T)


def test_enumerated_probabilities_sum_to_one():
  lda = make('dirichlet', topics=2)
  texts = itertools.product(range(V), repeat=2)
  total = sum(np.exp(by_enumeration(lda, x, 0.7)) for x in texts)
  assert total == pytest.approx(1)


@pytest.mark.parametrize(('topics', 'alpha'), [(3, 1.2), (2, 2.0)])
def test_joint_log_weights_converge_to_the_enumeration(topics, alpha):
  lda = make('dirichlet', topics=topics, alpha=alpha)
  weights = lda('joint_log_weights', X, K)
  assert weights.shape == (K, 1)
  assert_estimates(weights[:, 0], by_enumeration(lda, X, alpha))


@pytest.mark.parametrize('alpha', [0.5, 1.5])
def test_gaussian_joint_log_weights_converge_to_the_quadrature(alpha):
  lda = make('logistic-normal', topics=2, alpha=alpha)
  weights = lda('joint_log_weights', X, K)
  assert_estimates(weights[:, 0], exact(lda, X, alpha))


def test_the_bound_is_the_mean_log_weight_and_below_log_p(lda):
  bounds = lda.elbos(X)
  weights = lda('joint_log_weights', X, K, key=3)[:, 0]
  assert_same_mean(bounds, weights, SIGMAS)
  gap = exact(lda, X) - weights.mean()
  assert gap > SIGMAS * weights.std() / K**0.5


# --- log p(x_t | x_<t)


def predictive(lda, x):
  """log of E q(gamma | x_<t) of the probability of the last word of x."""
  counts = np.bincount(x[:-1].astype(int), minlength=V)
  q = lda.module.apply(
    {'params': lda.params}, jnp.float32(counts), method='_posterior'
  )
  words = phi(lda)[:, x[-1]]
  if lda.module.profile == 'dirichlet':
    a = np.asarray(q.concentration, float)
    return np.log(a @ words / a.sum())
  mean = float(q.logits.mean[0] - q.logits.mean[1])
  std = float(jnp.exp(q.logits.logvar).sum() ** 0.5)
  return by_quadrature(words[:, None], mean, std)


@pytest.mark.parametrize(('x', 'mask'), [(X, None), (HOLES, MASK)])
def test_log_weights_converge_to_the_predictive(lda, x, mask):
  weights = lda('log_weights', x, K, mask)
  assert weights.shape == (K, len(x))
  seen = []
  for t, counts in enumerate(np.ones(len(x), bool) if mask is None else mask):
    if not counts:
      np.testing.assert_array_equal(weights[:, t], 0.0)
      continue
    seen.append(x[t])
    assert_estimates(weights[:, t], predictive(lda, np.array(seen)))


@pytest.mark.parametrize(('x', 'mask'), [(X, None), (HOLES, MASK)])
def test_predictions_converge_to_the_predictive(lda, x, mask):
  drawn = lda('predict', x, K, mask)
  error = drawn.std(0) / K**0.5
  for word in range(V):
    p = np.exp(predictive(lda, np.array([*X, word])))
    assert abs(drawn[:, word].mean() - p) < SIGMAS * error[word]


def test_three_topics_predict_in_closed_form():
  lda = make('dirichlet', topics=3)
  drawn = lda('predict', X, K)
  error = drawn.std(0) / K**0.5
  for word in range(V):
    p = np.exp(predictive(lda, np.array([*X, word])))
    assert abs(drawn[:, word].mean() - p) < SIGMAS * error[word]
