"""The neural statistician's bounds, next to exact likelihoods.

These are those of a linear-Gaussian instance, worked out in NumPy from its
parameters.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax.flatten_util import ravel_pytree
from odds import SIGMAS

from gen1shot.bounds import log_mean_exp
from gen1shot.config import Config
from gen1shot.models import statistician as models
from gen1shot.models.statistician import Statistician
from gen1shot.objectives import objective

C_DIM, Z_DIM, X_DIM = 2, 1, 2
OBJECTS = np.array([[0.8, -0.4], [1.1, 0.3], [0.2, 0.1], [-0.5, 0.9]])
X = jnp.array(OBJECTS, jnp.float32)


def linear_statistician(layers, proposal='upto'):
  return Statistician(
    (X_DIM,),
    observation='gaussian',
    nets='dense',
    encoder_depth=0,
    decoder_depth=0,
    mlp_depth=0,
    features=X_DIM,
    c_dim=C_DIM,
    z_dim=Z_DIM,
    layers=layers,
    proposal=proposal,
    sample_dropout=False,
  )


def linear_params(layers):
  """name -> (weights [in, D], bias [D], logvars), chosen and not learned.

  A map's outputs are N(input @ weights + bias, exp(logvars)); the statistic's
  logvars depend on the size of the set and are applied in `context`.
  """
  rng = np.random.default_rng(layers)

  def weights(rows, columns, scale=1.0):
    return scale * rng.uniform(0.4, 1.0, (rows, columns)) / rows

  maps = {'statistic': (weights(X_DIM + 1, C_DIM), np.array([0.2, -0.1]), None)}
  for l in range(layers):
    above = Z_DIM if l else 0
    maps[f'priors_{l}'] = (
      weights(C_DIM + above, Z_DIM, 1.5),
      np.array([0.3]),
      np.array([-0.5]),
    )
    # Near enough to the true posterior that importance weights behave.
    maps[f'posteriors_{l}'] = (
      weights(X_DIM + C_DIM + above, Z_DIM),
      np.array([0.1]),
      np.array([-0.4]),
    )
  maps['decoder'] = (
    weights(C_DIM + layers * Z_DIM, X_DIM, 1.5),
    np.array([-0.1, 0.2]),
    np.array([-0.3, 0.1]),
  )
  return maps


SIZE_TO_LOGVAR = -0.6  # a larger set knows the context better


def context(maps, objects):
  """q(c | objects): mean and variances; N(0, I) without objects."""
  if not len(objects):
    return np.zeros(C_DIM), np.ones(C_DIM)
  weights, bias, _ = maps['statistic']
  size = np.log1p(len(objects))
  mean = np.append(objects.mean(0), size) @ weights + bias
  logvar = 7 * np.tanh(SIZE_TO_LOGVAR * size / 7) * np.ones(C_DIM)
  return mean, np.exp(logvar)


def object_given_context(maps, layers):
  """p(x | c) = N(c @ G + g, R), with z_L..z_1 integrated out."""
  # Each latent is an affine function of c plus noise; all of them together
  # are (c, 1) @ affine + noise of covariance `noise`.
  c = np.vstack([np.eye(C_DIM), np.zeros((1, C_DIM))])
  zs = []  # (affine, map of a vector of independent unit noises)
  for l in range(layers):
    weights, bias, logvars = maps[f'priors_{l}']
    affine = c @ weights[:C_DIM]
    affine[-1] += bias
    noise = np.zeros((layers * Z_DIM, Z_DIM))
    if l:
      above, above_noise = zs[-1]
      affine = affine + above @ weights[C_DIM:]
      noise = above_noise @ weights[C_DIM:]
    noise[l * Z_DIM : (l + 1) * Z_DIM] += np.diag(np.exp(logvars / 2))
    zs.append((affine, noise))
  weights, bias, logvars = maps['decoder']
  affine = np.hstack([*(a for a, _ in zs), c]) @ weights
  affine[-1] += bias
  noise = np.hstack([n for _, n in zs]) @ weights[: layers * Z_DIM]
  return affine[:-1], affine[-1], noise.T @ noise + np.diag(np.exp(logvars))


def log_predictive(maps, layers):
  """log p(x_t | x_<t) = log ∫ q(c | x_<t) p(x_t | c) dc, [T]."""
  G, g, R = object_given_context(maps, layers)
  logs = []
  for t, x in enumerate(OBJECTS):
    mean, variances = context(maps, OBJECTS[:t])
    cov = G.T @ np.diag(variances) @ G + R
    logs.append(scipy.stats.multivariate_normal.logpdf(x, mean @ G + g, cov))
  return np.array(logs)


def log_joint(maps, layers, objects=OBJECTS):
  """log p(x_1..x_T) = log ∫ p(c) prod_t p(x_t | c) dc."""
  G, g, R = object_given_context(maps, layers)
  T = len(objects)
  cov = np.kron(np.ones((T, T)), G.T @ G) + np.kron(np.eye(T), R)
  return scipy.stats.multivariate_normal.logpdf(
    objects.ravel(), np.tile(g, T), cov
  )


def variables(maps):
  """The maps as the module's parameters."""

  def dense(weights, bias, logvars):
    # tanh's inverse: from_parameters squashes log variances
    raw = 7 * np.arctanh(logvars / 7)
    kernel = np.hstack([weights, np.zeros_like(weights)])
    return {'kernel': kernel, 'bias': np.append(bias, raw)}

  statistic = dense(*maps['statistic'][:2], np.zeros(C_DIM))
  statistic['kernel'][-1, C_DIM:] = SIZE_TO_LOGVAR
  statistic['bias'][C_DIM:] = -models._START_LOGVAR  # which the module adds
  params = {
    'encoder': {
      'MLP_0': {'Dense_0': {'kernel': np.eye(X_DIM), 'bias': np.zeros(X_DIM)}}
    },
    'decoder': {'MLP_0': {'Dense_0': dense(*maps['decoder'])}},
    'statistic': {'Dense_0': statistic},
  }
  for name, values in maps.items():
    if name.startswith(('priors', 'posteriors')):
      params[name] = {'Dense_0': dense(*values)}
  return {'params': jax.tree.map(lambda a: jnp.asarray(a, 'float32'), params)}


@functools.cache
def linear_weights(layers, proposal='upto'):
  """(maps, log_weights [K, T], joint_log_weights [K, 1]), K = 100,000."""
  module, maps = linear_statistician(layers, proposal), linear_params(layers)

  @jax.jit
  def weigh(key):
    return tuple(
      module.apply(
        variables(maps), X, 100_000, method=method, rngs={'sample': key}
      )
      for method in ('log_weights', 'joint_log_weights')
    )

  return maps, *weigh(jax.random.key(layers))


def check_estimate(log_weights, exact):
  """The log-mean-exp is `exact`, up to an error that it estimates itself."""
  relative = np.exp(np.asarray(log_weights, float) - exact)
  stderr = relative.std(0) / len(relative) ** 0.5
  assert (stderr < 0.03).all()  # nats, by the delta method
  estimate = log_mean_exp(log_weights)
  assert (abs(estimate - exact) < SIGMAS * stderr + 1e-4).all()


@pytest.mark.parametrize('proposal', models.PROPOSALS)
@pytest.mark.parametrize('layers', [1, 2, 3])
def test_log_weights_estimate_the_exact_predictive(layers, proposal):
  maps, log_weights, _ = linear_weights(layers, proposal)
  check_estimate(log_weights, log_predictive(maps, layers))


@pytest.mark.parametrize('layers', [1, 2, 3])
def test_joint_log_weights_estimate_the_exact_joint(layers):
  maps, _, log_weights = linear_weights(layers)
  check_estimate(log_weights, log_joint(maps, layers))


def test_first_predictive_is_the_joint_of_one_object():
  maps = linear_params(2)
  assert log_predictive(maps, 2)[0] == pytest.approx(
    log_joint(maps, 2, OBJECTS[:1])
  )


def check_below(samples, exact):
  samples = np.asarray(samples, float)
  stderr = samples.std(0) / len(samples) ** 0.5
  assert (samples.mean(0) < exact - SIGMAS * stderr).all()


def test_one_sample_bounds_stay_below_the_exact_values():
  maps, predictive, joint = linear_weights(1)
  check_below(predictive, log_predictive(maps, 1))
  check_below(linear_weights(1, 'before')[1], log_predictive(maps, 1))
  check_below(joint, log_joint(maps, 1))


def elbos(module, params, x, count=20_000):
  """`count` draws of the ELBO."""

  @jax.jit
  @jax.vmap
  def draw(key):
    sample_key, dropout_key = jax.random.split(key)
    rngs = {'sample': sample_key, 'dropout': dropout_key}
    return module.apply(params, x, method='bound', rngs=rngs).elbo()

  return np.asarray(draw(jax.random.split(jax.random.key(7), count)), float)


def check_equal_means(a, b):
  stderr = (a.var() / len(a) + b.var() / len(b)) ** 0.5
  assert stderr < 0.03
  assert abs(a.mean() - b.mean()) < SIGMAS * stderr


@pytest.mark.parametrize('layers', [1, 2])
def test_bound_is_the_mean_of_joint_log_weights(layers):
  maps, _, joint = linear_weights(layers)
  draws = elbos(linear_statistician(layers), variables(maps), X)
  check_equal_means(draws, np.asarray(joint[:, 0], float))


@pytest.mark.parametrize('proposal', ['upto', 'before'])
def test_dreg_has_the_expected_gradient_of_the_plain_estimator(proposal):
  """Of the statistic network: with `before` its context is p and q at once."""
  module = linear_statistician(2, proposal)
  params = variables(linear_params(2))['params']
  statistic = {'statistic': params['statistic']}

  def gradient(key, estimator):
    config = Config(num_samples=3, gradient=estimator)

    def bound(statistic):
      return objective(module, config, params | statistic, X, key)[0]

    return ravel_pytree(jax.grad(bound)(statistic))[0]

  @jax.jit
  @jax.vmap
  def both(key):
    return gradient(key, 'plain'), gradient(key, 'dreg')

  plain, dreg = both(jax.random.split(jax.random.key(7), 20_000))
  difference = np.asarray(plain - dreg, float)
  error = difference.std(0) / len(difference) ** 0.5
  assert (abs(difference.mean(0)) <= SIGMAS * error).all()
  assert np.linalg.norm(error) < 0.05 * np.linalg.norm(plain.mean(0))


def test_bound_of_one_object_is_the_mean_of_its_log_weights():
  maps, predictive, _ = linear_weights(2)
  draws = elbos(linear_statistician(2), variables(maps), X[:1])
  check_equal_means(draws, np.asarray(predictive[:, 0], float))


def test_sample_dropout_keeps_a_lower_bound():
  maps, *_ = linear_weights(1)
  module = linear_statistician(1).clone(sample_dropout=True)
  draws = elbos(module, variables(maps), X)
  check_below(draws, log_joint(maps, 1))
  whole = elbos(linear_statistician(1), variables(maps), X)
  assert draws.std() != whole.std()  # it does something
