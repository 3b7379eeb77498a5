"""A model whose answers are known."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from gen1shot.distributions import DiagGaussian


class Fake(nn.Module):
  """A model whose answers are the pixels themselves, with noise on demand."""

  noise: float = 0.0
  observation_shape: tuple[int, ...] = (5, 6, 1)
  observation: str = 'bernoulli'

  def _noisy(self, values, num_samples):
    key = self.make_rng('sample')
    noise = jax.random.normal(key, (num_samples, *values.shape))
    return values + self.noise * noise

  def log_weights(self, x, num_samples):
    """Nearness of x_t to the mean of x_<t, and a bonus for the position."""
    before = jnp.tri(len(x), k=-1) @ x.reshape(len(x), -1)
    means = before / jnp.maximum(jnp.arange(len(x)), 1)[:, None]
    near = -((x.reshape(len(x), -1) - means) ** 2).sum(-1)
    return self._noisy(near + 10.0 * jnp.arange(len(x)), num_samples)

  def joint_log_weights(self, x, num_samples):
    return self._noisy(-x.sum()[None], num_samples)

  def embed(self, support):
    mean = support.reshape(len(support), -1).mean(0)
    return DiagGaussian(mean, jnp.zeros_like(mean))

  def predict(self, support, num_samples, mask=None):
    return self._noisy(support.sum(0), num_samples)
