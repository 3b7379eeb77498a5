"""LDA: enumeration of topics, closed forms, quadrature, and masks."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from odds import SIGMAS
from questions import streams
from recurrent import assert_estimates
from tiny_words import Tiny, V, assert_same_mean

from gen1shot.errors import InputError
from gen1shot.models.lda import LDA

X = np.array([1, 3, 3, 0, 1])
# The same words and two that do not count, one of them in the middle.
HOLES = np.array([1, 3, 2, 3, 0, 1, 0])
MASK = np.array([1, 1, 0, 1, 1, 1, 0], bool)
ORDER = np.array([3, 0, 4, 2, 1])
PROFILES = ['logistic-normal', 'dirichlet']
K = 10_000


ALPHA = 2.0


def make(profile, **fields):
  """Topics that differ, and a posterior not much narrower than the prior.

  Otherwise the weights, which are of finite mean, would have no variance.
  """
  name = 'lda-dirichlet' if profile == 'dirichlet' else 'lda-gaussian'
  lda = Tiny(name, **fields)
  p = lda.params
  p['topic_logits'] *= 2
  p['encoder'] = jax.tree.map(lambda leaf: 0.3 * leaf, p['encoder'])
  if profile == 'dirichlet':
    p['encoder']['Dense_1']['bias'] -= 1
  return lda


@pytest.fixture(scope='module', params=PROFILES)
def lda(request):
  return make(request.param, topics=2, alpha=ALPHA)


def phi(lda):
  logits = np.asarray(lda.params['topic_logits'], float)
  return scipy.special.softmax(logits, -1)


# --- log p(x_1..x_T)


def by_enumeration(lda, x, alpha):
  """A sum over the topics of all words, whose profile is integrated out."""
  words = phi(lda)
  D, T = len(words), len(x)
  total = 0.0
  for topics in itertools.product(range(D), repeat=T):
    sizes = np.bincount(topics, minlength=D)
    log_p = (
      scipy.special.gammaln(D * alpha)
      - scipy.special.gammaln(D * alpha + T)
      + (
        scipy.special.gammaln(alpha + sizes) - scipy.special.gammaln(alpha)
      ).sum()
    )
    total += np.exp(log_p) * words[list(topics), x].prod()
  return np.log(total)


def by_quadrature(words, mean, std):
  """For 2 topics and a difference of logits N(mean, std^2): words [2, T]."""
  nodes, weights = np.polynomial.hermite_e.hermegauss(60)
  gamma = scipy.special.expit(mean + std * nodes)[:, None]
  p = (gamma * words[0] + (1 - gamma) * words[1]).prod(-1)
  return np.log(weights @ p / weights.sum())


def exact(lda, x, alpha=ALPHA):
  if lda.module.profile == 'dirichlet':
    return by_enumeration(lda, x, alpha)
  # Either logit has a variance of (1 / alpha) (1 - 1 / 2).
  return by_quadrature(phi(lda)[:, x], 0.0, alpha**-0.5)


def test_enumerated_probabilities_sum_to_one():
  lda = make('dirichlet', topics=2)
  texts = itertools.product(range(V), repeat=2)
  total = sum(np.exp(by_enumeration(lda, x, 0.7)) for x in texts)
  assert total == pytest.approx(1)


@pytest.mark.parametrize(('topics', 'alpha'), [(3, 0.8), (2, 2.0)])
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


def test_three_topics_predict_in_closed_form():
  lda = make('dirichlet', topics=3, alpha=0.8)
  drawn = lda('predict', X[:-1], 4000)
  np.testing.assert_allclose(drawn.sum(-1), 1.0, rtol=1e-5)
  error = drawn.std(0) / 4000**0.5
  for word in range(V):
    p = np.exp(predictive(lda, np.array([*X[:-1], word])))
    assert abs(drawn[:, word].mean() - p) < SIGMAS * error[word]


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
