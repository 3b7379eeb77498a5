"""Second computations for recurrent models."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np


def lstm(p, carry, x):
  """One step of an LSTM, from the parameters of its gates."""
  c, h = carry
  gates = jnp.concatenate([x, h], -1) @ p['gates']['kernel']
  i, f, g, o = jnp.split(gates + p['gates']['bias'], 4, -1)
  c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
  return c, jax.nn.sigmoid(o) * jnp.tanh(c)


def quadrature(log_p, steps, order=40):
  """log of the integral of exp(log_p(z)) N(z; 0, I), z [steps, 1]."""
  nodes, weights = np.polynomial.hermite_e.hermegauss(order)
  log_weights = np.log(weights / np.sqrt(2 * np.pi))
  grid = jnp.array(list(itertools.product(nodes, repeat=steps)))[..., None]
  total = jnp.array(
    [sum(choice) for choice in itertools.product(log_weights, repeat=steps)]
  )
  return jax.nn.logsumexp(jax.jit(jax.vmap(log_p))(grid) + total)


def assert_estimates(log_weights, exact):
  """Checks log-mean-exp of weights [K] against the truth, by its own error."""
  weights = np.exp(np.asarray(log_weights, float) - exact)
  error = weights.std() / len(weights) ** 0.5
  assert error < 0.03
  assert abs(weights.mean() - 1) < 4 * error
