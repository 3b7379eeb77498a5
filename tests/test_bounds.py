"""The bounds against closed forms, on a conjugate Gaussian model."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from gen1shot import bounds
from gen1shot.distributions import DiagGaussian

NOISE = 0.5  # variance of p(x | z) = N(z, NOISE), with p(z) = N(0, 1)
X = 1.3
LOG_EVIDENCE = scipy.stats.norm.logpdf(X, 0, (1 + NOISE) ** 0.5)
POSTERIOR = X / (1 + NOISE), NOISE / (1 + NOISE)  # mean, variance

# Keys are fixed, so a test does not flicker; a correct code base fails at
# 4.5 standard errors for one key in 150,000.
SIGMAS = 4.5


def log_weights(key, shape, mean, variance):
  """Of the proposal q(z | x) = N(mean, variance)."""
  q = DiagGaussian(jnp.full((), mean), jnp.log(jnp.full((), variance)))
  z = q.sample(key, shape)
  prior = DiagGaussian(jnp.zeros(()), jnp.zeros(()))
  likelihood = DiagGaussian(z, jnp.full(shape, np.log(NOISE)))
  return prior.log_prob(z) + likelihood.log_prob(X) - q.log_prob(z)


def test_elbo_subtracts_weighted_kl_terms_from_likelihood():
  bound = bounds.Bound(
    jnp.array([-3.0, -4.0]), jnp.array([0.5, 0.25]), jnp.array(2.0)
  )
  assert bound.elbo() == -9.75
  assert bound.elbo(0.5) == -8.375


@pytest.mark.parametrize(
  ('kl_context', 'counted'), [(0.0, 0.0), (0.5, 2.0), (3.0, 3.0)]
)
def test_a_context_is_counted_as_its_free_bits_if_there_is_one(
  kl_context, counted
):
  bound = bounds.Bound(jnp.zeros(2), jnp.zeros(2), jnp.array(kl_context))
  assert bound.elbo(free_bits=2.0) == -counted
  assert bound.elbo() == -kl_context


@pytest.mark.parametrize('offset', [0.0, 1e4, -1e4])
def test_log_mean_exp_equals_numpy_and_does_not_overflow(offset):
  x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
  for axis in (0, 1):
    expected = np.log(np.exp(x.astype(float)).mean(axis)) + offset
    # 1e4 leaves float32 about 1e-3.
    np.testing.assert_allclose(
      bounds.log_mean_exp(x + np.float32(offset), axis), expected, atol=1e-3
    )


def test_log_mean_exp_takes_weights_of_zero():
  x = jnp.array([-jnp.inf, 0.0])
  np.testing.assert_allclose(bounds.log_mean_exp(x), np.log(0.5), rtol=1e-6)


def test_iwae_of_one_sample_is_that_sample_of_the_elbo(key):
  one = log_weights(key, (1, 7), 0.3, 0.8)
  np.testing.assert_array_equal(bounds.iwae(one), one[0])


def test_exact_posterior_makes_every_sample_the_evidence(key):
  exact = log_weights(key, (50,), *POSTERIOR)
  # float32 rounding of terms of about 5 nats
  np.testing.assert_allclose(exact, LOG_EVIDENCE, atol=1e-5)


def test_one_sample_bound_misses_the_evidence_by_the_kl(key):
  mean, variance = 0.3, 0.8
  gap = 0.5 * (
    variance / POSTERIOR[1]
    + (mean - POSTERIOR[0]) ** 2 / POSTERIOR[1]
    - 1
    + np.log(POSTERIOR[1] / variance)
  )
  samples = log_weights(key, (100_000,), mean, variance)
  stderr = samples.std() / len(samples) ** 0.5
  assert abs(samples.mean() - (LOG_EVIDENCE - gap)) < SIGMAS * stderr


def test_bounds_rise_with_the_number_of_samples_to_the_evidence(key):
  weights = log_weights(key, (64, 20_000), 0.3, 0.8)
  values = [bounds.iwae(weights[:K]) for K in (1, 2, 4, 16, 64)]
  for fewer, more in itertools.pairwise(values):
    gain = more - fewer
    assert gain.mean() > SIGMAS * gain.std() / gain.size**0.5
  last = values[-1]
  assert last.mean() < LOG_EVIDENCE + SIGMAS * last.std() / last.size**0.5
  # The gap of K samples is about Var(w / p(x)) / 2K: here 0.5 / 128.
  assert last.mean() > LOG_EVIDENCE - 0.01


# --- doubly reparameterised gradients
#
# p(z) = N(theta, I), p(x | z) = N(a z, I), q(z | x) = N(a x + theta + b, s I),
# z in the plane: theta and a belong to both, b and s to q alone.

T, D = 2, 2
OBJECTS = jnp.array([[0.5, -1.0], [1.5, 0.2]])
PARAMS = {
  'a': jnp.array(0.8),
  'b': jnp.array([-0.2, 0.3]),
  'log_s': jnp.array(-0.4),
  'theta': jnp.array([0.4, 0.1]),
}


def proposal(params):
  mean = params['a'] * OBJECTS + params['theta'] + params['b']
  return DiagGaussian(mean, jnp.full(mean.shape, 1.0) * params['log_s'])


def log_p(params, latents):
  z = latents['z']
  prior = DiagGaussian(params['theta'], jnp.zeros(D)).log_prob(z)
  mean = params['a'] * z
  likelihood = DiagGaussian(mean, jnp.zeros(mean.shape)).log_prob(OBJECTS)
  return (prior + likelihood).sum(-1)


def log_q(params, latents):
  return proposal(params).log_prob(latents['z']).sum(-1)


def plain(params, key, K):
  latents = {'z': proposal(params).sample(key, (K,))}
  return bounds.iwae(log_p(params, latents) - log_q(params, latents))


def dreg(params, key, K):
  return bounds.dreg(
    lambda params: {'z': proposal(params).sample(key, (K,))},
    log_p,
    log_q,
    params,
  )


@pytest.mark.parametrize('K', [1, 5])
def test_dreg_has_the_value_of_the_plain_bound(key, K):
  np.testing.assert_allclose(
    dreg(PARAMS, key, K), plain(PARAMS, key, K), rtol=1e-6
  )


@pytest.fixture(scope='module')
def gradients():
  """Parameter -> gradients of (plain, dreg) at 40,000 draws of 5 samples."""

  def draw(estimator, key):
    return jax.grad(lambda params: estimator(params, key, 5).sum())(PARAMS)

  keys = jax.random.split(jax.random.key(1), 40_000)
  draws = jax.jit(jax.vmap(lambda key: (draw(plain, key), draw(dreg, key))))(
    keys
  )
  return {name: (draws[0][name], draws[1][name]) for name in PARAMS}


@pytest.mark.parametrize('name', PARAMS)
def test_dreg_gradient_has_the_expectation_of_the_plain_one(gradients, name):
  first, second = gradients[name]
  difference = second - first
  stderr = difference.std(0) / len(difference) ** 0.5
  assert (abs(difference.mean(0)) < SIGMAS * stderr).all()
  # A test that could not see a wrong factor of 1.1 would be none.
  assert (stderr < 0.1 * abs(first.mean(0)) / SIGMAS + 0.005).all()


@pytest.mark.parametrize('name', ['b', 'log_s'])
def test_dreg_gradient_of_the_proposal_varies_less(gradients, name):
  first, second = gradients[name]
  assert (second.std(0) < 0.8 * first.std(0)).all()


def test_dreg_gradient_of_an_exact_proposal_is_zero_without_noise(key):
  exact = {
    'b': jnp.full(D, X / (1 + NOISE)),
    'log_s': jnp.full(D, np.log(POSTERIOR[1])),
  }

  def q(params):
    return DiagGaussian(params['b'], params['log_s'])

  def log_joint(params, z):
    prior = DiagGaussian(jnp.zeros(D), jnp.zeros(D)).log_prob(z)
    likelihood = DiagGaussian(z, jnp.full(z.shape, np.log(NOISE)))
    return (prior + likelihood.log_prob(X)).sum(-1)

  def bound(params):
    return bounds.dreg(
      lambda params: q(params).sample(key, (5, 1)),
      log_joint,
      lambda params, z: q(params).log_prob(z).sum(-1),
      params,
    ).sum()

  for leaf in jax.tree.leaves(jax.grad(bound)(exact)):
    np.testing.assert_allclose(leaf, 0, atol=1e-5)


def test_kl_weight_rises_linearly_to_one_and_stays():
  steps = jnp.array([0, 4, 9, 10, 1000])
  np.testing.assert_allclose(
    bounds.kl_weight(steps, 10), [0.1, 0.5, 1, 1, 1], rtol=1e-6
  )


def test_kl_weight_without_warmup_is_one_from_the_start():
  assert bounds.kl_weight(jnp.int32(0), 0) == 1
