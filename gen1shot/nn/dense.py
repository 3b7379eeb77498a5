"""Multilayer perceptrons on the last axis."""

import jax
from flax import linen as nn

# A residual branch starts near zero, so that a deep stack starts as identity.
small_init = nn.initializers.variance_scaling(0.1, 'fan_in', 'truncated_normal')


class MLP(nn.Module):
  """[..., F] -> [..., features] through `depth` residual hidden layers.

  Depth 0 is a linear map.
  """

  features: int
  width: int
  depth: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    if self.depth:
      x = nn.relu(nn.Dense(self.width)(x))
    for _ in range(self.depth - 1):
      y = nn.relu(nn.Dense(self.width)(x))
      x = x + nn.Dense(self.width, kernel_init=small_init)(y)
    return nn.Dense(self.features)(x)
