"""Vectors on the last axis, and residual perceptrons between them."""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn

from gen1shot.nn.rows import Dense

# A residual branch starts near zero, so that a deep stack starts as identity.
small_init = nn.initializers.variance_scaling(0.1, 'fan_in', 'truncated_normal')


def join(*inputs: jax.Array) -> jax.Array:
  """Concatenates on the last axis, with the other axes broadcast."""
  lead = jnp.broadcast_shapes(*(x.shape[:-1] for x in inputs))
  return jnp.concatenate(
    [jnp.broadcast_to(x, (*lead, x.shape[-1])) for x in inputs], axis=-1
  )


def unit(x: jax.Array) -> jax.Array:
  """Vectors of length 1 on the last axis; 0 stays 0, with a finite gradient."""
  return x * jax.lax.rsqrt((x * x).sum(-1, keepdims=True) + 1e-6)


def flatten(x: jax.Array, ndim: int) -> jax.Array:
  """Makes one axis of the last `ndim`; other axes may be empty."""
  return x.reshape(*x.shape[:-ndim], math.prod(x.shape[-ndim:]))


class MLP(nn.Module):
  """Vectors [..., F_i] -> [..., features], `depth` residual hidden layers.

  The inputs are joined; depth 0 is a linear map of them.
  """

  features: int
  width: int
  depth: int

  @nn.compact
  def __call__(self, *inputs: jax.Array) -> jax.Array:
    x = join(*inputs)
    if self.depth:
      x = nn.relu(Dense(self.width)(x))
    for _ in range(self.depth - 1):
      y = nn.relu(Dense(self.width)(x))
      x = x + Dense(self.width, kernel_init=small_init)(y)
    return Dense(self.features)(x)


class DenseEncoder(nn.Module):
  """A residual MLP on the flattened object."""

  width: int
  depth: int
  features: int
  object_ndim: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    flat = flatten(x, self.object_ndim)
    return MLP(self.features, self.width, self.depth)(flat)


class DenseDecoder(nn.Module):
  """A residual MLP to the flattened object."""

  shape: tuple[int, ...]
  width: int
  depth: int
  outputs: int

  @nn.compact
  def __call__(self, *inputs: jax.Array) -> jax.Array:
    size = math.prod(self.shape[:-1]) * self.outputs
    flat = MLP(size, self.width, self.depth)(*inputs)
    return flat.reshape(*flat.shape[:-1], *self.shape[:-1], self.outputs)
