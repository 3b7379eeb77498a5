"""Distributions as frozen structs of arrays.

`log_prob` and `kl` are elementwise, in nats: the caller sums over the axes
that make up one event. Leading axes are batch axes and broadcast.
"""

import math

import jax
import jax.numpy as jnp
from flax import struct
from jax.scipy.special import digamma, gammaln

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
    return self.transform(jax.random.normal(key, (*shape, *self.mean.shape)))

  def transform(self, noise: jax.Array) -> jax.Array:
    """The draw that standard Gaussian noise becomes."""
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
class Dirichlet:
  """Probabilities of K things, by their logs; the last axis is an event."""

  concentration: jax.Array  # [..., K], positive

  def sample(self, key: jax.Array, shape: tuple[int, ...] = ()) -> jax.Array:
    """Log probabilities [*shape, ..., K]; the key is consumed.

    Gamma draws, normalised; their gradients are the implicit ones of Figurnov
    et al. 2018.
    """
    concentration = jnp.broadcast_to(
      self.concentration, (*shape, *self.concentration.shape)
    )
    return jax.nn.log_softmax(jax.random.loggamma(key, concentration))

  def log_prob(self, log_x: jax.Array) -> jax.Array:
    """Of the density over the probabilities, [...]."""
    a = self.concentration
    return ((a - 1) * log_x).sum(-1) - _log_beta(a)

  def kl(self, p: 'Dirichlet') -> jax.Array:
    """KL(self || p), [...], in closed form, in nats."""
    a, b = self.concentration, p.concentration
    expected = digamma(a) - digamma(a.sum(-1, keepdims=True))  # of log x
    divergence = ((a - b) * expected).sum(-1) - _log_beta(a) + _log_beta(b)
    # Rounding of large concentrations could make it negative.
    return jnp.maximum(divergence, 0.0)

  def laplace(self) -> DiagGaussian:
    """The Gaussian nearest to the logs of a draw, up to their mean, [..., K].

    Of Laplace's approximation in the softmax basis, the diagonal (MacKay 1998;
    as Srivastava & Sutton 2017 use it).
    """
    logs, inverse = jnp.log(self.concentration), 1 / self.concentration
    K = self.concentration.shape[-1]
    mean = logs - logs.mean(-1, keepdims=True)
    variance = (1 - 2 / K) * inverse + inverse.mean(-1, keepdims=True) / K
    return DiagGaussian(mean, jnp.log(variance))


@struct.dataclass
class LogisticNormal:
  """Probabilities of K things, given by logits, which are Gaussian.

  The last axis is an event; the density is that of the logits.
  """

  logits: DiagGaussian  # [..., K]

  def sample(self, key: jax.Array, shape: tuple[int, ...] = ()) -> jax.Array:
    """Logits [*shape, ..., K], reparameterised; the key is consumed."""
    return self.logits.sample(key, shape)

  def log_prob(self, logits: jax.Array) -> jax.Array:
    """Of the density over the logits, [...]."""
    return self.logits.log_prob(logits).sum(-1)

  def kl(self, p: 'LogisticNormal') -> jax.Array:
    """KL(self || p), [...], in closed form, in nats."""
    return kl(self.logits, p.logits).sum(-1)

  def laplace(self) -> DiagGaussian:
    """The logits, which are Gaussian already."""
    return self.logits


def _log_beta(a: jax.Array) -> jax.Array:
  """log of the normaliser of a Dirichlet density, over the last axis."""
  return gammaln(a).sum(-1) - gammaln(a.sum(-1))


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
