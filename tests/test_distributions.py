"""Distributions against SciPy, their own samples, and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from gen1shot.distributions import (
  OBSERVATIONS,
  Bernoulli,
  DiagGaussian,
  DiscretizedLogistic,
  kl,
  observation,
)
from gen1shot.errors import InputError

# Keys are fixed, so a test does not flicker; a correct code base fails at
# 4.5 standard errors for one key in 150,000.
SIGMAS = 4.5
VALUES = jnp.arange(256) / 255

MEAN = np.array([0.0, -1.5, 3.0])
LOGVAR = np.array([0.0, 1.2, -2.0])


@pytest.fixture
def gaussian():
  return DiagGaussian(jnp.float32(MEAN), jnp.float32(LOGVAR))


def test_gaussian_log_prob_is_that_of_scipy(gaussian):
  x = np.array([[0.5, -2.0, 2.0], [0.0, 4.0, 3.1]])
  np.testing.assert_allclose(
    gaussian.log_prob(x),
    scipy.stats.norm.logpdf(x, MEAN, np.exp(LOGVAR / 2)),
    rtol=1e-5,
  )


def test_gaussian_samples_have_mean_and_variance(gaussian, key):
  samples = gaussian.sample(key, (100_000,))
  assert samples.shape == (100_000, 3)
  variance = np.exp(LOGVAR)
  n = len(samples)
  mean_error = abs(samples.mean(0) - MEAN)
  assert (mean_error < SIGMAS * (variance / n) ** 0.5).all()
  variance_error = abs(samples.var(0) - variance)
  assert (variance_error < SIGMAS * variance * (2 / n) ** 0.5).all()


def test_gaussian_elements_are_independent(gaussian, key):
  correlation = np.corrcoef(gaussian.sample(key, (100_000,)).T)
  assert abs(correlation - np.eye(3)).max() < SIGMAS / 100_000**0.5


def test_gaussian_sample_is_reparameterised(key):
  def draw(mean, logvar):
    return DiagGaussian(mean, logvar).sample(key)

  mean, logvar = jnp.array(0.3), jnp.array(0.8)
  by_mean, by_logvar = jax.grad(draw, (0, 1))(mean, logvar)
  assert by_mean == 1
  np.testing.assert_allclose(
    by_logvar, 0.5 * (draw(mean, logvar) - mean), rtol=1e-5
  )


def test_standard_gaussian_is_standard():
  standard = DiagGaussian.standard((2, 3))
  x = np.linspace(-2, 2, 6).reshape(2, 3)
  np.testing.assert_allclose(
    standard.log_prob(x), scipy.stats.norm.logpdf(x), rtol=1e-6
  )


def test_kl_is_the_mean_log_ratio(gaussian, key):
  p = DiagGaussian(jnp.array([0.5, -1.0, 2.5]), jnp.array([0.4, 0.9, -1.0]))
  samples = gaussian.sample(key, (100_000,))
  ratios = gaussian.log_prob(samples) - p.log_prob(samples)
  stderr = ratios.std(0) / len(ratios) ** 0.5
  assert (abs(ratios.mean(0) - kl(gaussian, p)) < SIGMAS * stderr).all()
  # The two directions differ, by more than the test could confuse.
  assert (abs(kl(p, gaussian) - kl(gaussian, p)) > 2 * SIGMAS * stderr).any()


def test_kl_is_zero_at_equality_and_positive_elsewhere(gaussian):
  np.testing.assert_allclose(kl(gaussian, gaussian), 0, atol=1e-6)
  for other in (
    gaussian.replace(mean=gaussian.mean + 0.1),
    gaussian.replace(logvar=gaussian.logvar - 0.1),
  ):
    assert (kl(gaussian, other) > 1e-3).all()


def test_bernoulli_log_prob_is_that_of_scipy():
  logits = np.array([-3.0, 0.0, 0.7, 5.0])
  bernoulli = Bernoulli(jnp.float32(logits))
  for value in (0, 1):
    expected = scipy.stats.bernoulli.logpmf(value, scipy.special.expit(logits))
    np.testing.assert_allclose(
      bernoulli.log_prob(jnp.float32(value)), expected, rtol=1e-5
    )


def test_bernoulli_samples_are_binary_with_the_mean(key):
  logits = jnp.broadcast_to(jnp.array([-2.0, 0.0, 1.0]), (50_000, 3))
  bernoulli = Bernoulli(logits)
  samples = bernoulli.sample(key)
  assert set(np.unique(samples)) == {0.0, 1.0}
  p = scipy.special.expit(np.array([-2.0, 0.0, 1.0]))
  np.testing.assert_allclose(bernoulli.mean[0], p, rtol=1e-6)
  stderr = (p * (1 - p) / len(samples)) ** 0.5
  assert (abs(samples.mean(0) - p) < SIGMAS * stderr).all()


LOGISTICS = [(0.5, -2.0), (0.02, -1.0), (0.99, -5.0), (0.3, -6.9), (0.5, 3.0)]


@pytest.mark.parametrize(('mean', 'log_scale'), LOGISTICS)
def test_logistic_masses_are_those_of_scipy(mean, log_scale):
  edges = (np.arange(257) - 0.5) / 255
  edges[0], edges[-1] = -np.inf, np.inf
  logistic = scipy.stats.logistic(mean, np.exp(log_scale))
  # From the side where the tail is thin, or a difference would cancel.
  expected = np.where(
    edges[1:] < mean, np.diff(logistic.cdf(edges)), -np.diff(logistic.sf(edges))
  )
  masses = jnp.exp(
    DiscretizedLogistic(jnp.array(mean), jnp.array(log_scale)).log_prob(VALUES)
  )
  np.testing.assert_allclose(masses, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(('mean', 'log_scale'), LOGISTICS)
def test_logistic_masses_sum_to_one(mean, log_scale):
  logistic = DiscretizedLogistic(jnp.array(mean), jnp.array(log_scale))
  assert jnp.exp(logistic.log_prob(VALUES)).sum() == pytest.approx(1, abs=1e-4)


def test_logistic_samples_are_the_values_with_their_masses(key):
  logistic = DiscretizedLogistic(jnp.full(50_000, 0.1), jnp.full(50_000, -3.0))
  levels = np.round(255 * np.asarray(logistic.sample(key))).astype(int)
  np.testing.assert_allclose(levels / 255, logistic.sample(key), atol=1e-6)
  counts = np.bincount(levels, minlength=256)
  masses = np.exp(
    DiscretizedLogistic(jnp.array(0.1), jnp.array(-3.0)).log_prob(VALUES)
  ).astype(float)
  likely = masses > 1e-3  # at least 50 expected
  observed = np.append(counts[likely], counts[~likely].sum())
  expected = np.append(masses[likely], masses[~likely].sum())
  expected *= len(levels) / expected.sum()
  assert scipy.stats.chisquare(observed, expected).pvalue > 1e-5


@pytest.mark.parametrize('name', OBSERVATIONS)
@pytest.mark.parametrize('size', [1e2, 1e6, 1e30])
def test_huge_parameters_keep_values_and_gradients_finite(name, size):
  distribution, per_value = observation(name)
  signs = jnp.stack(jnp.meshgrid(*per_value * [jnp.array([-1.0, 1.0])]), -1)

  def total(parameters):
    made = distribution.from_parameters(parameters)
    return sum(made.log_prob(x) for x in (0.0, 1.0)).sum() / size

  value, gradient = jax.value_and_grad(total)(size * signs)
  if name != 'gaussian' or size < 1e19:  # whose squared distance overflows
    assert jnp.isfinite(value)
  if name != 'gaussian' or size < 1e12:
    assert jnp.isfinite(gradient).all()
  made = distribution.from_parameters(size * signs)
  assert jnp.isfinite(made.mean).all()


def test_log_variances_are_squashed_smoothly():
  logvar = jnp.array([-1e9, -0.01, 0.0, 0.01, 1e9])
  made = DiagGaussian.from_parameters(jnp.stack([jnp.ones(5), logvar], -1))
  np.testing.assert_allclose(made.mean, jnp.ones((5, 1)))
  np.testing.assert_allclose(
    made.logvar[:, 0], [-7, -0.01, 0, 0.01, 7], rtol=1e-4
  )


@pytest.mark.parametrize('name', OBSERVATIONS)
def test_parameters_are_taken_from_the_last_axis(name):
  distribution, per_value = observation(name)
  made = distribution.from_parameters(jnp.zeros((4, 5, 3 * per_value)))
  assert made.mean.shape == (4, 5, 3)


def test_an_unknown_observation_is_refused():
  with pytest.raises(InputError, match="did you mean 'gaussian'"):
    observation('gausian')
