"""DRAW, the deep recurrent attentive writer (Gregor et al. 2015).

    p(x) = ∫ p(x | c_S) prod_s N(z_s; 0, I) dz,  c_s = c_s-1 + write(h_s)

S steps paint a canvas c; h_s is the state of a recurrent decoder of z_1..z_s.
Objects are independent, so examples cannot help. Shapes: T objects, K
importance samples, S steps, D the size of z_s, H the size of the states. One
episode a call; `jax.vmap` adds the batch.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct

from gen1shot.bounds import Bound
from gen1shot.distributions import DiagGaussian, observation
from gen1shot.errors import InputError, check_positive
from gen1shot.nn.canvas import (
  Reader,
  Step,
  Stroke,
  Writer,
  embedding,
  infer,
  unroll,
)
from gen1shot.nn.dense import join
from gen1shot.nn.recurrent import LSTM, LSTMState
from gen1shot.nn.rows import Dense
from gen1shot.nn.sets import blank


@struct.dataclass
class Painting:
  """What a step hands to the next."""

  canvas: jax.Array  # [..., *shape], parameters of p(x)
  decoder: LSTMState
  encoder: LSTMState


class DRAW(nn.Module):
  """DRAW for images [height, width, channels].

  Raises (when it is first used):
    InputError: a field has no meaning, or does not fit the shape.
  """

  observation_shape: tuple[int, ...]  # (H, W, C)
  observation: str = 'bernoulli'  # bernoulli, gaussian or logistic
  recurrent_steps: int = 8  # S
  hidden: int = 256  # H
  z_dim: int = 32  # D, of each step
  attention: str = 'filterbank'  # filterbank, transformer, affine or none
  read_size: int = 12  # pixels a side of what is read
  write_size: int = 12  # and of what is written
  remat: bool = False  # compute steps twice, to keep less in memory

  def setup(self) -> None:
    check_positive(self, 'recurrent_steps', 'hidden', 'z_dim')
    if len(self.observation_shape) != 3:
      raise InputError(
        f'DRAW takes images [H, W, C]; got {self.observation_shape}'
      )
    self.likelihood, per_value = observation(self.observation)
    height, width, channels = self.observation_shape
    shape = (height, width, channels * per_value)
    self.reader = Reader(self.attention, self.read_size)
    self.writer = Writer(self.attention, self.write_size, shape)
    self.encoder = LSTM(self.hidden)
    self.decoder = LSTM(self.hidden)
    self.posterior = Dense(2 * self.z_dim)
    self.blank = self.param('blank', nn.initializers.zeros, shape)

  # The four questions.

  def bound(self, x: jax.Array, mask: jax.Array | None = None) -> Bound:
    """The terms of the ELBO on log p(x_1..x_T).

    Args:
      x: objects [T, *shape].
      mask: boolean [T], objects that count; None for all.

    Uses the random stream `sample`.
    """
    x = blank(x, mask)
    painting, steps = self._infer(x, self._noise(len(x)))
    # sum_s KL(q(z_s | z_<s, x) || N(0, I))
    kl_local = steps.kl.sum(0)
    # E log p(x | c_S)
    log_likelihood = self._log_likelihood(x, painting)
    return Bound(log_likelihood, kl_local, jnp.zeros(())).where(mask)

  def log_weights(
    self,
    x: jax.Array,
    num_samples: int,
    starts: jax.Array | None = None,
  ) -> jax.Array:
    """log importance weights of log p(x_t): [T, *shape] -> [K, T]."""
    del starts
    painting, steps = self._infer(x, self._noise(num_samples, len(x)))
    return self._log_likelihood(x, painting) + steps.log_ratio.sum(0)

  def joint_log_weights(self, x: jax.Array, num_samples: int) -> jax.Array:
    """The same: log p(x_1..x_T) has a factor for every object."""
    return self.log_weights(x, num_samples)

  def predict(
    self,
    support: jax.Array,
    num_samples: int,
    mask: jax.Array | None = None,
  ) -> jax.Array:
    """Means of new objects [S, *shape] from p(x), whatever the support."""
    del support, mask
    painting, _ = self._paint_all(num_samples)
    return self._likelihood(painting).mean

  def paint(
    self,
    support: jax.Array,
    num_samples: int,
    mask: jax.Array | None = None,
  ) -> Stroke:
    """The steps by which `predict` paints: leaves [steps, S, ...]."""
    del support, mask
    _, strokes = self._paint_all(num_samples)
    return strokes

  def embed(
    self, support: jax.Array, mask: jax.Array | None = None
  ) -> DiagGaussian:
    """Means of q(z_1..z_S | x) along themselves, averaged over a set.

    [N, *shape] -> [S D], of unit variance; 0 for N = 0.
    """
    noise = jnp.zeros((self.recurrent_steps, len(support), self.z_dim))
    _, steps = self._infer(blank(support, mask), noise)
    return embedding(steps, mask)

  # Pieces.

  def _noise(self, *lead: int) -> jax.Array:
    """[S, *lead, D]."""
    shape = (self.recurrent_steps, *lead, self.z_dim)
    return jax.random.normal(self.make_rng('sample'), shape)

  def _begin(self, lead: tuple[int, ...]) -> Painting:
    nothing = jnp.zeros((*lead, self.hidden))
    canvas = jnp.broadcast_to(self.blank, (*lead, *self.blank.shape))
    return Painting(canvas, (nothing, nothing), (nothing, nothing))

  def _infer(self, x: jax.Array, noise: jax.Array) -> tuple[Painting, Step]:
    """The painting of x [T, *shape] with z ~ q; noise [S, ..., T, D]."""

    def step(self, painting, noise, x):
      error = x - self._likelihood(painting).mean
      _, h = painting.decoder
      seen = self.reader(h, jnp.broadcast_to(x, error.shape), error)
      encoder, summary = self.encoder(painting.encoder, join(seen, h))
      q = DiagGaussian.from_parameters(self.posterior(summary))
      z, told = infer(q, DiagGaussian.standard((self.z_dim,)), noise)
      painting, _ = self._paint(painting, z)
      return Painting(painting.canvas, painting.decoder, encoder), told

    begin = self._begin(noise.shape[1:-1])
    return unroll(step, self, begin, noise, (x,), self.remat)

  def _paint_all(self, num_samples: int) -> tuple[Painting, Stroke]:
    """Paintings [S, ...] with z from the prior."""
    noise = self._noise(num_samples)
    begin = self._begin((num_samples,))
    return unroll(DRAW._paint, self, begin, noise, (), self.remat)

  def _paint(self, painting: Painting, z: jax.Array) -> tuple[Painting, Stroke]:
    """One step of the decoder: what it draws is added to the canvas."""
    decoder, h = self.decoder(painting.decoder, z)
    drawn, box = self.writer(h)
    canvas = painting.canvas + drawn
    painting = Painting(canvas, decoder, painting.encoder)
    return painting, Stroke(self._likelihood(painting).mean, box)

  def _likelihood(self, painting: Painting):
    return self.likelihood.from_parameters(painting.canvas)

  def _log_likelihood(self, x: jax.Array, painting: Painting) -> jax.Array:
    return self._likelihood(painting).log_prob(x).sum((-3, -2, -1))
