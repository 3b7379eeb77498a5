"""Distributions as frozen structs of arrays.

`log_prob` and `kl` are elementwise, in nats: the caller sums over the axes
that make up one event. Leading axes are batch axes and broadcast.
"""

import math

import jax
import jax.numpy as jnp
from flax import struct

from gen1shot.errors import check_choice


@struct.dataclass
class DiagGaussian:
  """N(mean, exp(logvar)), independent elements."""

  mean: jax.Array
  logvar: jax.Array

  @classmethod
  def standard(cls, shape: tuple[int, ...]) -> 'DiagGaussian':
    return cls(jnp.zeros(shape), jnp.zeros(shape))

  @classmethod
  def from_parameters(cls, parameters: jax.Array) -> 'DiagGaussian':
    """Halves the last axis into mean and logvar: [..., 2 D] -> [..., D].

    The log variance is squashed smoothly to (-7, 7), so that no step of an
    optimiser makes a variance of 0 or infinity.
    """
    mean, logvar = jnp.split(parameters, 2, axis=-1)
    return cls(mean, 7 * jnp.tanh(logvar / 7))

  def sample(self, key: jax.Array, shape: tuple[int, ...] = ()) -> jax.Array:
    """Reparameterised draws: [*shape, *mean.shape]; the key is consumed."""
    noise = jax.random.normal(key, (*shape, *self.mean.shape))
    return self.mean + jnp.exp(0.5 * self.logvar) * noise

  def log_prob(self, x: jax.Array) -> jax.Array:
    squares = (x - self.mean) ** 2 * jnp.exp(-self.logvar)
    return -0.5 * (squares + self.logvar + math.log(2 * math.pi))


def kl(q: DiagGaussian, p: DiagGaussian) -> jax.Array:
  """KL(q || p) of each element, in closed form, in nats."""
  ratio = jnp.exp(q.logvar - p.logvar)
  distance = (q.mean - p.mean) ** 2 * jnp.exp(-p.logvar)
  return 0.5 * (ratio + distance - 1 + p.logvar - q.logvar)


@struct.dataclass
class Bernoulli:
  """Binary values in {0, 1}."""

  logits: jax.Array

  @classmethod
  def from_parameters(cls, parameters: jax.Array) -> 'Bernoulli':
    return cls(parameters)

  @property
  def mean(self) -> jax.Array:
    return jax.nn.sigmoid(self.logits)

  def sample(self, key: jax.Array) -> jax.Array:
    return jax.random.bernoulli(key, self.mean).astype(self.logits.dtype)

  def log_prob(self, x: jax.Array) -> jax.Array:
    return x * self.logits - jax.nn.softplus(self.logits)


@struct.dataclass
class DiscretizedLogistic:
  """Values k / 255, k = 0..255: a logistic density's mass in each bin.

  Kingma et al. 2016 (IAF), section 5.2; the two outer bins take the tails, so
  the masses sum to 1.
  """

  mean: jax.Array
  log_scale: jax.Array

  @classmethod
  def from_parameters(cls, parameters: jax.Array) -> 'DiscretizedLogistic':
    """Halves the last axis; the mean is squashed to (0, 1)."""
    mean, log_scale = jnp.split(parameters, 2, axis=-1)
    return cls(jax.nn.sigmoid(mean), 5 * jnp.tanh(log_scale / 5) - 2)

  def sample(self, key: jax.Array) -> jax.Array:
    noise = jax.random.logistic(key, self.mean.shape)
    value = self.mean + jnp.exp(self.log_scale) * noise
    return jnp.clip(jnp.round(255 * value), 0, 255) / 255

  def log_prob(self, x: jax.Array) -> jax.Array:
    width = jnp.exp(-self.log_scale) / 255
    middle = (x - self.mean) * jnp.exp(-self.log_scale)
    low, high = middle - width / 2, middle + width / 2
    # log(sigmoid(high) - sigmoid(low)) without cancellation.
    inside = (
      jax.nn.log_sigmoid(high)
      + jax.nn.log_sigmoid(-low)
      + jnp.log(-jnp.expm1(-width))
    )
    lowest, highest = jax.nn.log_sigmoid(high), jax.nn.log_sigmoid(-low)
    return jnp.where(
      x < 0.5 / 255, lowest, jnp.where(x > 254.5 / 255, highest, inside)
    )


Observation = Bernoulli | DiagGaussian | DiscretizedLogistic

# name -> (distribution, network outputs for each observed value)
OBSERVATIONS: dict[str, tuple[type[Observation], int]] = {
  'bernoulli': (Bernoulli, 1),
  'gaussian': (DiagGaussian, 2),
  'logistic': (DiscretizedLogistic, 2),
}


def observation(name: str) -> tuple[type[Observation], int]:
  """The distribution called `name` and its parameters per observed value.

  Raises:
    InputError: there is no such distribution.
  """
  check_choice('observation', name, OBSERVATIONS)
  return OBSERVATIONS[name]
