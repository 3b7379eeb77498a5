"""Bag of words: the words of a document are independent of each other.

    p(x_1..x_T) = prod_t p(x_t)

with one probability a word, fitted in closed form. Shapes: T words, V of the
vocabulary, K importance samples, which there is nothing to draw for.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from gen1shot.bounds import Bound, Params
from gen1shot.distributions import DiagGaussian
from gen1shot.errors import InputError
from gen1shot.nn.sequences import counted


class Unigram(nn.Module):
  """The unigram model of words.

  Raises (when it is fitted):
    InputError: smoothing is not above 0.
  """

  observation_shape: tuple[int, ...]  # (V,)
  smoothing: float = 1.0  # added to the count of every word

  def setup(self) -> None:
    self.log_frequencies = self.param(
      'log_frequencies', _uniform, self.observation_shape
    )

  def fit(self, words: jax.Array) -> Params:
    """The smoothed frequencies of n words: (n_v + s) / (n + s V) for word v."""
    if not self.smoothing > 0:
      raise InputError(f'smoothing must be > 0; got {self.smoothing}')
    (V,) = self.observation_shape
    counts = jnp.bincount(words, length=V) + self.smoothing
    return {'log_frequencies': jnp.log(counts / counts.sum())}

  # The four questions.

  def bound(self, x: jax.Array, mask: jax.Array | None = None) -> Bound:
    """log p(x_1..x_T) itself: words [T], boolean [T] or None."""
    log_likelihood = self.log_frequencies[x]
    nothing = jnp.zeros(())
    return Bound(log_likelihood, jnp.zeros(len(x)), nothing).where(mask)

  def log_weights(
    self, x: jax.Array, num_samples: int, mask: jax.Array | None = None
  ) -> jax.Array:
    """log p(x_t), K times: [K, T]; 0 for words that do not count."""
    log_p = counted(self.log_frequencies[x], mask)
    return jnp.broadcast_to(log_p, (num_samples, len(x)))

  def joint_log_weights(
    self, x: jax.Array, num_samples: int, mask: jax.Array | None = None
  ) -> jax.Array:
    """The same: log p(x_1..x_T) has a factor for every word."""
    return self.log_weights(x, num_samples, mask)

  def predict(
    self,
    support: jax.Array,
    num_samples: int,
    mask: jax.Array | None = None,
  ) -> jax.Array:
    """Probabilities [S, V] of a next word, whatever the support."""
    del support, mask
    p = jnp.exp(self.log_frequencies)
    return jnp.broadcast_to(p, (num_samples, *p.shape))

  def embed(
    self, support: jax.Array, mask: jax.Array | None = None
  ) -> DiagGaussian:
    """Nothing is latent: a Gaussian over no dimensions."""
    del support, mask
    return DiagGaussian.standard((0,))

  def compose(
    self,
    support: jax.Array,
    num_samples: int,
    mask: jax.Array | None = None,
  ) -> jax.Array:
    """Texts of as many words as the support: int32 [S, T]."""
    del mask
    return jax.random.categorical(
      self.make_rng('sample'),
      self.log_frequencies,
      shape=(num_samples, len(support)),
    )


def _uniform(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
  del key
  return jnp.full(shape, -jnp.log(shape[0]))
