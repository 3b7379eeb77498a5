"""How tests ask a model, and on which objects answers depend."""

import jax
import numpy as np


def streams(key):
  names = ('params', 'sample', 'dropout')
  return dict(zip(names, jax.random.split(key, 3), strict=True))


def influence(function, x):
  """Which objects [T] each output [..., T] of `function` depends on."""
  jacobian = jax.jit(jax.jacobian(function))(x)
  dims = tuple(range(1 - x.ndim, 0))
  return np.asarray(abs(jacobian).max(dims) > 0)
