"""Distributions of probabilities against SciPy, samples and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from odds import SIGMAS

from gen1shot.distributions import DiagGaussian, Dirichlet, LogisticNormal, kl

A = np.array([0.6, 2.5, 1.0, 4.0])
B = np.array([1.5, 0.7, 2.0, 1.0])


@pytest.fixture
def dirichlet():
  return Dirichlet(jnp.float32(A))


def mean_of_logs(a):
  return scipy.special.digamma(a) - scipy.special.digamma(a.sum())


def test_log_prob_is_that_of_scipy(dirichlet):
  x = np.random.default_rng(0).dirichlet(np.ones(4), 5)
  np.testing.assert_allclose(
    dirichlet.log_prob(jnp.log(x)),
    [scipy.stats.dirichlet.logpdf(row, A) for row in x],
    rtol=1e-4,
  )


def test_the_density_over_probabilities_integrates_to_one():
  n = 100_000
  x = (np.arange(n) + 0.5) / n
  two = Dirichlet(jnp.array([1.5, 2.5]))
  density = jnp.exp(two.log_prob(jnp.log(np.stack([x, 1 - x], -1))))
  assert density.mean() == pytest.approx(1, abs=1e-4)


def test_draws_are_log_probabilities_with_their_moments(dirichlet, key):
  n = 50_000
  logs = dirichlet.sample(key, (n,))
  assert logs.shape == (n, 4)
  np.testing.assert_allclose(jnp.exp(logs).sum(-1), 1.0, rtol=1e-5)
  p, truth = jnp.exp(logs), scipy.stats.dirichlet(A)
  for draws, expected in (
    (p, truth.mean()),
    (p**2, truth.var() + truth.mean() ** 2),
    (logs, mean_of_logs(A)),
  ):
    error = draws.std(0) / n**0.5
    assert (abs(draws.mean(0) - expected) < SIGMAS * error).all()
  # and covariance
  np.testing.assert_allclose(np.cov(p.T), truth.cov(), atol=1.5e-3)


def test_dirichlet_kl_is_the_mean_log_ratio(dirichlet, key):
  other = Dirichlet(jnp.float32(B))
  draws = dirichlet.sample(key, (50_000,))
  ratios = dirichlet.log_prob(draws) - other.log_prob(draws)
  error = ratios.std() / len(ratios) ** 0.5
  assert abs(ratios.mean() - dirichlet.kl(other)) < SIGMAS * error
  # The two directions differ, by more than the test could confuse.
  assert abs(other.kl(dirichlet) - dirichlet.kl(other)) > 2 * SIGMAS * error


def test_dirichlet_kl_is_the_digamma_formula(dirichlet):
  def log_beta(a):
    return scipy.special.gammaln(a).sum() - scipy.special.gammaln(a.sum())

  expected = log_beta(B) - log_beta(A) + ((A - B) * mean_of_logs(A)).sum()
  found = dirichlet.kl(Dirichlet(jnp.float32(B)))
  assert found == pytest.approx(expected, rel=1e-5)
  assert dirichlet.kl(dirichlet) == 0


@pytest.mark.parametrize('concentration', [A, [0.05, 0.1], [200.0, 50.0, 3.0]])
def test_implicit_gradients_have_the_trigamma_mean(concentration, key):
  """d E log x_k / d a_j = trigamma(a_k) [j = k] - trigamma(sum of a)."""
  a, n = np.array(concentration), 5000

  def draw(a, key):
    return Dirichlet(a).sample(key)

  gradients = jax.jit(jax.vmap(jax.jacrev(draw), (None, 0)))(
    jnp.float32(a), jax.random.split(key, n)
  )
  trigamma = scipy.special.polygamma(1, [*a, a.sum()])
  expected = np.diag(trigamma[:-1]) - trigamma[-1]
  error = gradients.std(0) / n**0.5
  assert (error < 0.1 * abs(expected).max()).all()
  assert (abs(gradients.mean(0) - expected) < SIGMAS * error).all()


@pytest.mark.parametrize('size', [1e-3, 1e4])
def test_extreme_concentrations_keep_draws_and_gradients_finite(size, key):
  def log_p(a):
    dirichlet = Dirichlet(a)
    draws = dirichlet.sample(key, (100,))
    uniform = Dirichlet(jnp.ones(3))
    return dirichlet.log_prob(draws).mean() + dirichlet.kl(uniform)

  value, gradient = jax.value_and_grad(log_p)(jnp.full(3, size))
  assert jnp.isfinite(value)
  assert jnp.isfinite(gradient).all()


@pytest.mark.parametrize('a', [0.1, 1.0, 7.0])
@pytest.mark.parametrize('K', [2, 10])
def test_laplace_of_a_symmetric_dirichlet(a, K):
  gaussian = Dirichlet(jnp.full(K, a)).laplace()
  np.testing.assert_allclose(gaussian.mean, 0.0, atol=1e-6)
  np.testing.assert_allclose(
    jnp.exp(gaussian.logvar), (1 - 1 / K) / a, rtol=1e-5
  )


def test_laplace_is_the_mode_and_curvature_of_the_logits(dirichlet):
  """Over logits the density is prod x_k^a_k; it is flat along the diagonal."""
  gaussian = dirichlet.laplace()
  np.testing.assert_allclose(
    jax.nn.softmax(gaussian.mean), A / A.sum(), rtol=1e-5
  )
  assert gaussian.mean.sum() == pytest.approx(0, abs=1e-5)

  def log_density(logits):
    return (A * jax.nn.log_softmax(logits)).sum()

  curvature = np.asarray(jax.hessian(log_density)(gaussian.mean), float)
  np.testing.assert_allclose(
    jnp.exp(gaussian.logvar),
    np.diag(np.linalg.pinv(-curvature, rcond=1e-4)),
    rtol=1e-4,
  )


def test_a_logistic_normal_is_a_gaussian_of_one_event(key):
  rng = np.random.default_rng(1)
  q, p = (
    DiagGaussian(*jnp.asarray(rng.normal(size=(2, 5, 3)), jnp.float32))
    for _ in range(2)
  )
  latent = LogisticNormal(q).sample(key, (7,))
  np.testing.assert_array_equal(latent, q.sample(key, (7,)))
  np.testing.assert_array_equal(
    LogisticNormal(q).log_prob(latent), q.log_prob(latent).sum(-1)
  )
  divergence = LogisticNormal(q).kl(LogisticNormal(p))
  np.testing.assert_array_equal(divergence, kl(q, p).sum(-1))
  assert LogisticNormal(q).laplace() is q


@pytest.mark.parametrize('profile', ['dirichlet', 'logistic-normal'])
def test_the_last_axis_is_one_event(profile, key):
  def make(a):
    if profile == 'dirichlet':
      return Dirichlet(a)
    return LogisticNormal(DiagGaussian(jnp.log(a), a / 5))

  many = jnp.float32(np.stack([[A, B, B], [B, A, A]]))  # [2, 3, 4]
  one = make(jnp.float32(A))
  draws = make(many).sample(key, (6,))
  assert draws.shape == (6, 2, 3, 4)
  log_p = make(many).log_prob(draws)
  assert log_p.shape == (6, 2, 3)
  np.testing.assert_allclose(
    log_p[:, 0, 0], one.log_prob(draws[:, 0, 0]), rtol=1e-5
  )
  np.testing.assert_allclose(
    make(many).kl(one),
    [[make(row).kl(one) for row in rows] for rows in many],
    rtol=1e-5,
  )
  assert make(many).laplace().mean.shape == (2, 3, 4)
