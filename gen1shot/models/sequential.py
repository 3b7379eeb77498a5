"""The sequential generative model (Rezende et al. 2016).

    v_s = f_v(h_s-1, x'),  h_s = LSTM(h_s-1, z_s, v_s),  c_s = f_c(c_s-1, h_s)
    p(x | x') = ∫ p(x | f_o(c_S)) prod_s N(z_s; 0, I) dz

or with p(z_s | h_s-1, v_s) in place of N(0, I), learned as in convolutional
DRAW (Gregor et al. 2016, Towards Conceptual Compression, section 2). S steps
paint a hidden canvas c while they read the examples x'; position t of an
episode is given x' = x_<t. Shapes: T objects, K importance samples, S steps, D
the size of z_s, H the size of the state. One episode a call; `jax.vmap` adds
the batch.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct

from gen1shot.bounds import Bound
from gen1shot.distributions import DiagGaussian, observation
from gen1shot.errors import InputError, check_choice, check_positive
from gen1shot.nn.canvas import (
  Channels,
  GatedUpdate,
  Reader,
  Step,
  Stroke,
  Writer,
  embedding,
  infer,
  unroll,
)
from gen1shot.nn.dense import join
from gen1shot.nn.recurrent import LSTM
from gen1shot.nn.rows import Dense
from gen1shot.nn.sets import blank, same_set

CANVASES = ('additive', 'gated')
PRIORS = ('standard', 'learned')


@struct.dataclass
class Shown:
  """The examples, as reads see them.

  A read is linear in the image and its window does not depend on the image, so
  the mean of the reads of x' is the read of their mean.
  """

  mean: jax.Array  # [..., H, W, C]; 0 without examples
  present: jax.Array  # [..., 1]: 1 if there are any, else 0


@struct.dataclass
class Painting:
  """What a step hands to the next."""

  canvas: jax.Array  # [..., H, W, C] of canvas_channels; additive: f_o of it
  state: tuple[jax.Array, jax.Array]  # of the LSTM, [..., H] both


class SequentialGenerativeModel(nn.Module):
  """The sequential generative model for images [height, width, channels].

  Raises (when it is first used):
    InputError: a field has no meaning, or does not fit the shape.
  """

  observation_shape: tuple[int, ...]  # (H, W, C)
  observation: str = 'bernoulli'  # bernoulli, gaussian or logistic
  recurrent_steps: int = 8  # S
  hidden: int = 256  # H
  z_dim: int = 16  # D, of each step
  attention: str = 'transformer'  # filterbank, transformer, affine or none
  read_size: int = 12  # pixels a side of what is read
  write_size: int = 12  # and of what is written
  canvas: str = 'additive'  # additive or gated
  canvas_channels: int = 4  # hidden, of the canvas
  prior: str = 'standard'  # of z_s: N(0, I), or learned, given h_s-1 and v_s
  remat: bool = False  # compute steps twice, to keep less in memory

  def setup(self) -> None:
    check_choice('canvas', self.canvas, CANVASES)
    check_choice('prior', self.prior, PRIORS)
    check_positive(
      self, 'recurrent_steps', 'hidden', 'z_dim', 'canvas_channels'
    )
    if len(self.observation_shape) != 3:
      raise InputError(
        f'sequential takes images [H, W, C]; got {self.observation_shape}'
      )
    self.likelihood, per_value = observation(self.observation)
    height, width, channels = self.observation_shape
    shape = (height, width, self.canvas_channels)
    self.example_reader = Reader(self.attention, self.read_size)
    self.object_reader = Reader(self.attention, self.read_size)
    self.writer = Writer(self.attention, self.write_size, shape)
    if self.canvas == 'gated':
      self.update = GatedUpdate(self.canvas_channels)
    self.look = Dense(self.hidden)
    self.transition = LSTM(self.hidden)
    self.summary = Dense(self.hidden)
    self.posterior = Dense(2 * self.z_dim)
    if self.prior == 'learned':
      # It starts as N(0, I).
      zeros = nn.initializers.zeros
      self.expected = Dense(2 * self.z_dim, kernel_init=zeros)
    self.pixels = Channels(channels * per_value)  # f_o
    self.blank = self.param('blank', nn.initializers.zeros, shape)

  # The four questions.

  def bound(self, x: jax.Array, mask: jax.Array | None = None) -> Bound:
    """The terms of the ELBO on sum_t log p(x_t | x_<t).

    Args:
      x: objects [T, *shape].
      mask: boolean [T], objects that count; None for all.

    Uses the random stream `sample`.
    """
    x = blank(x, mask)
    shown = self._prefixes(x, mask=mask)
    painting, steps = self._infer(x, shown, self._noise(len(x)))
    # sum_s KL(q(z_s | z_<s, x_t, x_<t) || p(z_s | z_<s, x_<t))
    kl_local = steps.kl.sum(0)
    # E log p(x_t | f_o(c_S))
    log_likelihood = self._log_likelihood(x, painting)
    return Bound(log_likelihood, kl_local, jnp.zeros(())).where(mask)

  def log_weights(
    self,
    x: jax.Array,
    num_samples: int,
    starts: jax.Array | None = None,
  ) -> jax.Array:
    """log importance weights of log p(x_t | x_<t), every prefix in one pass.

    Args:
      x: objects [T, *shape].
      num_samples: K.
      starts: boolean [T], True where a set begins, if x is several sets one
        after another; None for one set.

    Returns:
      [K, T].
    """
    shown = self._prefixes(x, starts)
    noise = self._noise(num_samples, len(x))
    painting, steps = self._infer(x, shown, noise)
    return self._log_likelihood(x, painting) + steps.log_ratio.sum(0)

  def joint_log_weights(self, x: jax.Array, num_samples: int) -> jax.Array:
    """The same: log p(x_1..x_T) is the sum of the predictives."""
    return self.log_weights(x, num_samples)

  def predict(
    self,
    support: jax.Array,
    num_samples: int,
    mask: jax.Array | None = None,
  ) -> jax.Array:
    """Means of new objects from p(x | x_1..x_N).

    Args:
      support: [N, *shape]; N = 0, or a mask of False, means unconditional.
      num_samples: S.
      mask: boolean [N] or None.

    Returns:
      [S, *shape].
    """
    painting, _ = self._paint_all(support, num_samples, mask)
    return self._likelihood(painting.canvas).mean

  def paint(
    self,
    support: jax.Array,
    num_samples: int,
    mask: jax.Array | None = None,
  ) -> Stroke:
    """The steps by which `predict` paints: leaves [steps, S, ...]."""
    _, strokes = self._paint_all(support, num_samples, mask)
    return strokes

  def embed(
    self, support: jax.Array, mask: jax.Array | None = None
  ) -> DiagGaussian:
    """Means of q(z_1..z_S | x) along themselves, averaged over a set.

    Each object without examples. [N, *shape] -> [S D], of unit variance; 0 for
    N = 0.
    """
    nothing = Shown(jnp.zeros_like(support), jnp.zeros((len(support), 1)))
    noise = jnp.zeros((self.recurrent_steps, len(support), self.z_dim))
    _, steps = self._infer(blank(support, mask), nothing, noise)
    return embedding(steps, mask)

  # Pieces.

  def _noise(self, *lead: int) -> jax.Array:
    """[S, *lead, D]."""
    shape = (self.recurrent_steps, *lead, self.z_dim)
    return jax.random.normal(self.make_rng('sample'), shape)

  def _prefixes(
    self,
    x: jax.Array,
    starts: jax.Array | None = None,
    mask: jax.Array | None = None,
  ) -> Shown:
    """x_<t for every t."""
    seen = jnp.tril(same_set(len(x), starts), -1)
    if mask is not None:
      seen &= mask
    return _shown(x, seen)

  def _begin(self, lead: tuple[int, ...]) -> Painting:
    nothing = jnp.zeros((*lead, self.hidden))
    blank = self.blank if self.canvas == 'gated' else self.pixels(self.blank)
    canvas = jnp.broadcast_to(blank, (*lead, *blank.shape))
    return Painting(canvas, (nothing, nothing))

  def _infer(
    self, x: jax.Array, shown: Shown, noise: jax.Array
  ) -> tuple[Painting, Step]:
    """The painting of x [T, *shape] with z ~ q; noise [S, ..., T, D]."""

    def step(self, painting, noise, x, shown):
      _, h = painting.state
      v = self._look(shown, h)
      error = x - self._likelihood(painting.canvas).mean
      seen = self.object_reader(h, jnp.broadcast_to(x, error.shape), error)
      summary = nn.relu(self.summary(join(seen, v, h)))
      q = DiagGaussian.from_parameters(self.posterior(summary))
      z, told = infer(q, self._prior(v, h), noise)
      painting, _ = self._paint(painting, z, v)
      return painting, told

    return self._unroll(step, noise, x, shown)

  def _paint_all(
    self, support: jax.Array, num_samples: int, mask: jax.Array | None
  ) -> tuple[Painting, Stroke]:
    """Paintings [S, ...] with z from the prior."""
    seen = jnp.ones(len(support), bool) if mask is None else mask
    shown = _shown(blank(support, mask), seen)

    def step(self, painting, noise, shown):
      _, h = painting.state
      v = self._look(shown, h)
      return self._paint(painting, self._prior(v, h).transform(noise), v)

    return self._unroll(step, self._noise(num_samples), shown)

  def _unroll(self, step, noise: jax.Array, *given):
    gated = self.canvas == 'gated'
    begin = self._begin(noise.shape[1:-1])
    return unroll(step, self, begin, noise, given, self.remat, convolves=gated)

  def _look(self, shown: Shown, h: jax.Array) -> jax.Array:
    """v_s = f_v(h_s-1, x'), a layer on what the state reads of the examples."""
    lead = h.shape[:-1]
    image = jnp.broadcast_to(shown.mean, (*lead, *shown.mean.shape[-3:]))
    read = self.example_reader(h, image)
    return nn.relu(self.look(join(read, shown.present, h)))

  def _prior(self, v: jax.Array, h: jax.Array) -> DiagGaussian:
    """p(z_s | z_<s, x')."""
    if self.prior == 'standard':
      return DiagGaussian.standard((self.z_dim,))
    return DiagGaussian.from_parameters(self.expected(join(v, h)))

  def _paint(
    self, painting: Painting, z: jax.Array, v: jax.Array
  ) -> tuple[Painting, Stroke]:
    """One step of the generative model."""
    state, h = self.transition(painting.state, join(z, v))
    if self.canvas == 'gated':
      drawn, box = self.writer(h)
      canvas = self.update(painting.canvas, drawn)
    else:
      # f_o is linear, so that f_o(c_S) is a sum of what f_o makes of strokes.
      seen = functools.partial(self.pixels, offset=False)
      drawn, box = self.writer(h, seen)
      canvas = painting.canvas + drawn
    return Painting(canvas, state), Stroke(self._likelihood(canvas).mean, box)

  def _likelihood(self, canvas: jax.Array):
    parameters = self.pixels(canvas) if self.canvas == 'gated' else canvas
    return self.likelihood.from_parameters(parameters)

  def _log_likelihood(self, x: jax.Array, painting: Painting) -> jax.Array:
    return self._likelihood(painting.canvas).log_prob(x).sum((-3, -2, -1))


def _shown(x: jax.Array, seen: jax.Array) -> Shown:
  """The means of what is seen of x [N, *shape]; seen is boolean [..., N]."""
  weights = seen.astype(x.dtype)
  count = weights.sum(-1)
  total = jnp.einsum('...n,nhwc->...hwc', weights, x)
  mean = total / jnp.maximum(count, 1.0)[..., None, None, None]
  return Shown(mean, (count > 0).astype(x.dtype)[..., None])
