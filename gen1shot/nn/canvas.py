"""What recurrent painters share: reading, writing, and the loop of steps.

Images [..., H, W, C], states [..., D]; any leading axes.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct

from gen1shot.distributions import DiagGaussian, kl
from gen1shot.errors import InputError, check_choice
from gen1shot.nn import attention, loops
from gen1shot.nn.attention import TurnedWindow, Window
from gen1shot.nn.dense import flatten
from gen1shot.nn.rows import Dense, saveable
from gen1shot.nn.sets import masked_mean

_LIMIT = 1.5  # of the parameters of windows
SHORT = 8  # steps of a loop that is unrolled; off CPU, of a round of others
ATTENTION = ('filterbank', 'transformer', 'affine', 'none')


class Reader(nn.Module):
  """The part of images that a state attends to: [..., features].

  The images are joined; with attention `none` all of them is seen.
  """

  kind: str
  size: int  # of the patch

  @nn.compact
  def __call__(self, state: jax.Array, *images: jax.Array) -> jax.Array:
    _check(self.kind, self.size)
    if self.kind != 'none':
      sides = images[0].shape[-3:-1]
      window, _ = _windows(self.kind, state, self.size, *sides)
      # One by one, so that images without a gradient are none of its work.
      images = tuple(map(window.read, images))
    return flatten(jnp.concatenate(images, axis=-1), 3)


class Channels(nn.Module):
  """A 1x1 convolution, [..., C] -> [..., features]; linear without offset."""

  features: int

  @nn.compact
  def __call__(self, x: jax.Array, offset: bool = True) -> jax.Array:
    init, zeros = nn.initializers.lecun_normal(), nn.initializers.zeros
    kernel = self.param('kernel', init, (x.shape[-1], self.features))
    bias = self.param('bias', zeros, (self.features,))
    return x @ kernel + bias if offset else x @ kernel


class Writer(nn.Module):
  """What a state draws, [..., *shape], and the box of its window [..., 4].

  The box is None without a window. Given a linear map of channels, what is
  drawn has gone through it, before a window makes it large: writing mixes no
  channels.
  """

  kind: str
  size: int  # of the patch
  shape: tuple[int, int, int]

  @nn.compact
  def __call__(
    self,
    state: jax.Array,
    through: Callable[[jax.Array], jax.Array] = lambda patch: patch,
  ) -> tuple[jax.Array, jax.Array | None]:
    _check(self.kind, self.size)
    height, width, channels = self.shape
    sides = (height, width) if self.kind == 'none' else (self.size, self.size)
    patch = Dense(math.prod(sides) * channels)(state)
    patch = through(patch.reshape(*state.shape[:-1], *sides, channels))
    if self.kind == 'none':
      return patch, None
    _, window = _windows(self.kind, state, self.size, height, width)
    return window.write(patch), window.box


def _windows(
  kind: str, state: jax.Array, size: int, height: int, width: int
) -> tuple[Window | TurnedWindow, Window | TurnedWindow]:
  """The windows of a state to read and to write through.

  Their parameters stay within _LIMIT, for which the publications do not ask:
  the gradients of a window that shrinks to a point, or leaves the image for
  good, have no bound. So a Gaussian filter has a standard deviation of 0.5 to
  2.1 pixels, and a window zooms by 4.5 and turns by 86 degrees either way.
  """
  count = {'filterbank': 5, 'transformer': 4, 'affine': 6}[kind]
  told = Dense(count, kernel_init=nn.initializers.zeros)(state)
  parameters = _LIMIT * nn.tanh(told / _LIMIT)
  if kind == 'transformer':
    return attention.transformer(parameters, size, height, width)
  if kind == 'affine':
    return attention.affine(parameters, size, height, width)
  window = attention.filterbank(parameters, size, height, width)
  return window, window


def _check(kind: str, size: int) -> None:
  """Raises InputError unless there are such windows."""
  check_choice('attention', kind, ATTENTION)
  if kind != 'none' and size < 2:
    raise InputError(f'patches must have at least 2 x 2 pixels; got {size}')


@struct.dataclass
class Stroke:
  """What can be seen of a step of painting."""

  mean: jax.Array  # [..., *shape] of p(x), were this the last step
  box: jax.Array | None  # [..., 4] of the window, top, bottom, left, right


@struct.dataclass
class Step:
  """What a step of inference tells."""

  kl: jax.Array  # [...] KL(q(z_s | z_<s, x) || p(z_s | z_<s))
  log_ratio: jax.Array  # [...] log p(z_s) - log q(z_s | z_<s, x)
  mean: jax.Array  # [..., D] of q(z_s | z_<s, x)


def infer(
  q: DiagGaussian, prior: DiagGaussian, noise: jax.Array
) -> tuple[jax.Array, Step]:
  """A reparameterised draw from q, beside the prior."""
  z = q.transform(noise)
  log_ratio = (prior.log_prob(z) - q.log_prob(z)).sum(-1)
  return z, Step(kl(q, prior).sum(-1), log_ratio, q.mean)


def embedding(steps: Step, mask: jax.Array | None) -> DiagGaussian:
  """What tells sets apart: means of all steps, averaged over the objects.

  Steps [S, N, ...] -> [S D], of unit variance; 0 for N = 0.
  """
  means = flatten(jnp.moveaxis(steps.mean, 0, -2), 2)
  mean, _ = masked_mean(means, mask)
  return DiagGaussian(mean, jnp.zeros_like(mean))


def unroll(
  step: Callable[..., tuple[Any, Any]],
  module: nn.Module,
  carry: Any,
  xs: Any,
  given: tuple[Any, ...],
  remat: bool,
  convolves: bool = False,
) -> tuple[Any, Any]:
  """`lax.scan` of `step(module, carry, x, *given)` over the leading axis of xs.

  The backward pass computes most of a step again: all but its dense layers,
  which is faster than to keep it and needs half the memory, or with `remat`
  everything, so that memory grows with the carry alone. A short loop is
  unrolled, which makes a training step of 8 steps 1.04 times faster on CPU and
  1.36 times on a GPU, and one of 20 slower on CPU. On CPU one that convolves is
  unrolled, too: XLA differentiates convolutions twenty times slower in a loop.
  Elsewhere a long one takes 8 steps a round, which made training steps of 64
  and 80 steps 1.13 and 1.15 times faster on a GPU, with up to a fifth
  more memory. Without `remat`, and in float32, a dense layer has one gradient
  for all steps, which made training steps of DRAW 1.07 times faster on CPU.
  """
  on_cpu, is_long = jax.default_backend() == 'cpu', len(xs) > SHORT
  unrolled = not (is_long or remat) or (convolves and on_cpu)
  rounds = len(xs) if unrolled else SHORT if is_long and not on_cpu else 1
  if remat or module.is_initializing():

    def body(module, carry, x):
      return step(module, carry, x, *given)

    scan = nn.scan(
      nn.remat(body, prevent_cse=False) if remat else body,
      variable_broadcast='params',
      split_rngs={'params': False},
      unroll=rounds,
    )
    return scan(module, carry, xs)
  keep_products = functools.partial(
    jax.checkpoint, prevent_cse=False, policy=saveable
  )
  transform = _same if unrolled else keep_products
  return loops.scan(step, module, carry, xs, given, transform, rounds)


def _same(body: Callable[..., Any]) -> Callable[..., Any]:
  return body


class GatedUpdate(nn.Module):
  """A convolutional GRU whose state is the canvas and whose input was drawn."""

  channels: int

  @nn.compact
  def __call__(self, canvas: jax.Array, drawn: jax.Array) -> jax.Array:
    both = jnp.concatenate([canvas, drawn], axis=-1)
    gates = nn.sigmoid(nn.Conv(2 * self.channels, (3, 3))(both))
    keep, reset = jnp.split(gates, 2, axis=-1)
    both = jnp.concatenate([reset * canvas, drawn], axis=-1)
    new = nn.tanh(nn.Conv(self.channels, (3, 3))(both))
    return keep * canvas + (1 - keep) * new
