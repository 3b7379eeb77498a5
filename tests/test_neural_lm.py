"""The neural language model: its scan, integrals over z, and masks."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from lm_loop import Loop, V, grid, integral, make
from odds import SIGMAS
from recurrent import assert_estimates
from tiny_words import assert_same_mean

X = np.array([1, 2, 2, 0])
# The same words and three that do not count, at the start, inside, at the end.
HOLES = np.array([0, 1, 2, 1, 2, 0, 1])
MASK = np.array([0, 1, 1, 0, 1, 1, 0], bool)
# Of more than 2^15 figures at once, K T, jaxlib 0.10.2 has some wrong on CPUs:
# github.com/jax-ml/jax/issues/39103.
K = 4500


@pytest.fixture(scope='module', params=['gru', 'lstm'])
def lm(request):
  return make(request.param)


@pytest.fixture(scope='module', params=['gru', 'lstm'])
def line(request):
  """With a latent on a line; its integrals are sums."""
  return make(request.param, z_dim=1)


# --- the scan


def log_p_of(lm, z, texts):
  """The module's log p(x_t | x_<t, z): z [S, D], texts [N, T] -> [N, S, T]."""

  def log_p(module, x):
    h = module._states(z, module.words(x), None)
    return module._log_prob(h.swapaxes(0, 1), x)

  def one(x):
    return lm.module.apply({'params': lm.params}, x, method=log_p)

  return jax.jit(jax.vmap(one))(texts)


def test_the_scan_is_a_loop_over_cells(lm):
  z = jax.random.normal(jax.random.key(2), (3, 2))
  found = log_p_of(lm, z, X[None])[0]
  expected, _ = Loop(lm).read(X, z)
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
  q = lm('embed', X)
  mean, std = Loop(lm).posterior(X)
  np.testing.assert_allclose(q.mean, mean, rtol=1e-4, atol=1e-5)
  np.testing.assert_allclose(jnp.exp(q.logvar / 2), std, rtol=1e-4)


def test_probabilities_of_all_texts_sum_to_one(lm):
  texts = jnp.array(list(itertools.product(range(V), repeat=3)))
  z = jax.random.normal(jax.random.key(2), (2, 2))
  p = jnp.exp(log_p_of(lm, z, texts).sum(-1))
  np.testing.assert_allclose(p.sum(0), 1.0, rtol=1e-5)


# --- integrals over z


def log_joint(line, x):
  log_p, _ = Loop(line).read(x, grid(0.0, 1.0))
  return np.log(integral(log_p.sum(-1)))


def test_joint_log_weights_converge_to_the_quadrature(line):
  weights = line('joint_log_weights', X, K)
  assert weights.shape == (K, 1)
  assert_estimates(weights[:, 0], log_joint(line, X))


def test_the_bound_is_the_mean_log_weight_and_below_log_p(line):
  weights = line('joint_log_weights', X, K, key=3)[:, 0]
  assert_same_mean(line.elbos(X), weights, SIGMAS)
  gap = log_joint(line, X) - weights.mean()
  assert gap > SIGMAS * weights.std() / K**0.5


def after(line, x):
  """p(next word | x) = integral of q(z | x) p(word | x, z), [V]."""
  loop = Loop(line)
  _, state = loop.read(x, grid(*loop.posterior(x)))
  return integral(loop.log_p(state))


@pytest.mark.parametrize(('x', 'mask'), [(X, None), (HOLES, MASK)])
def test_log_weights_converge_to_the_quadrature(line, x, mask):
  weights = line('log_weights', x, K, mask)
  assert weights.shape == (K, len(x))
  seen = []
  for t, counts in enumerate(np.ones(len(x), bool) if mask is None else mask):
    if not counts:
      np.testing.assert_array_equal(weights[:, t], 0.0)
      continue
    assert_estimates(weights[:, t], np.log(after(line, seen)[x[t]]))
    seen.append(x[t])


@pytest.mark.parametrize(('x', 'mask'), [(X, None), (HOLES, MASK), ([], None)])
def test_predictions_converge_to_the_quadrature(line, x, mask):
  p = line('predict', x, K, mask)
  np.testing.assert_allclose(p.sum(-1), 1.0, rtol=1e-5)
  error = p.std(0) / K**0.5
  assert (error < 0.01).all()
  expected = after(line, X if len(x) else x)
  assert (abs(p.mean(0) - expected) < SIGMAS * error).all()


# --- causality and masks


def test_later_words_change_no_earlier_log_weight(lm):
  before = lm('log_weights', X, 5)
  for t in range(len(X)):
    changed = X.copy()
    changed[t:] = (X[t:] + 1) % V
    after = lm('log_weights', changed, 5)
    np.testing.assert_allclose(after[:, :t], before[:, :t], rtol=1e-6)
    assert (after[:, t] != before[:, t]).all()


def test_words_that_do_not_count_are_as_if_not_there(lm):
  for method, args in (
    ('joint_log_weights', (5,)),
    ('predict', (5,)),
    ('embed', ()),
  ):
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
      lm(method, HOLES, *args, MASK),
      lm(method, X, *args),
    )
  masked, without = lm('bound', HOLES, MASK), lm('bound', X)
  np.testing.assert_allclose(
    masked.log_likelihood[MASK], without.log_likelihood, rtol=1e-5
  )
  np.testing.assert_array_equal(masked.log_likelihood[~MASK], 0.0)
  assert masked.kl_context == pytest.approx(float(without.kl_context), rel=1e-5)


def test_an_empty_document_costs_nothing(lm):
  nothing = np.zeros(len(HOLES), bool)
  bound = lm('bound', HOLES, nothing)
  assert bound.elbo() == bound.kl_context == 0
  for method in ('log_weights', 'joint_log_weights'):
    weights = lm(method, HOLES, 5, nothing)
    np.testing.assert_array_equal(weights, 0.0)
  for q in (lm('embed', HOLES, nothing), lm('embed', [])):
    np.testing.assert_array_equal(q.mean, [0.0, 0.0])
    np.testing.assert_array_equal(q.logvar, [0.0, 0.0])


def test_no_support_is_legal(lm):
  assert lm('predict', [], 5).shape == (5, V)
  assert lm('compose', [], 5).shape == (5, 0)
