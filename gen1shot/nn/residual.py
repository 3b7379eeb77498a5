"""The residual convolutions of generative matching networks, for 28x28 images.

Three sections: 28x28 -> 13x13x16 -> 6x6x32 -> 3x3x32 and back (Bartunov &
Vetrov 2016; sizes of the code published with it). A section halves the image
and has one residual block of two 3x3 convolutions; every convolution has PReLU.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from gen1shot.nn import narrow
from gen1shot.nn.dense import join
from gen1shot.nn.rows import Dense, product

# Channels and kernel of each convolution of stride 2, and of its mirror images.
ENCODER = ((16, 4), (32, 3), (32, 2))
DECODER = ((32, 2), (16, 3), (16, 4))
FEATURES = 3 * 3 * 32


class ResidualEncoder(nn.Module):
  """Images [..., 28, 28, C] -> [..., 288]."""

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    for channels, kernel in ENCODER:
      x = _conv(channels, kernel, 2, 'VALID')(x)
      x = _residual(nn.PReLU()(x), None)
    return x.reshape(*x.shape[:-3], FEATURES)


class ResidualDecoder(nn.Module):
  """Vectors [..., D_i] -> [..., 28, 28, outputs], the mirror of the encoder.

  With `dynamic`, the last vector also predicts factors of the filters of its
  own convolutions: filter (i, o) is that of the network times a_i b_o, where a
  and b are linear in the vector. Scaling channels before and after a shared
  convolution is the same as convolving every image with its own filters, and
  costs next to nothing.
  """

  outputs: int
  dynamic: bool = False

  @nn.compact
  def __call__(self, *inputs: jax.Array) -> jax.Array:
    v = join(*inputs)
    factors = inputs[-1] if self.dynamic else None
    x = nn.PReLU()(Dense(FEATURES)(v)).reshape(*v.shape[:-1], 3, 3, 32)
    for channels, kernel in DECODER[:-1]:
      x = interleave(_doubled(x, channels, kernel, factors), kernel)
    channels, kernel = DECODER[-1]
    blocks = _doubled(x, channels, kernel, factors)
    # A product pixel by pixel, cheaper before the pixels are put in place.
    return interleave(Dense(self.outputs)(blocks), kernel)


class TransposedConv(nn.Module):
  """Transposed convolution of stride 2, VALID, its outputs in blocks of 2x2.

  One matrix product maps the inputs that reach a block of pixels to the block:
  no zeros between the inputs, and gradients that are matrix products. The image
  that `interleave` makes of the blocks has the side 2 H + kernel - 2.
  """

  features: int
  kernel: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    *lead, height, width, channels = x.shape
    k = self.kernel
    weights = self.param(
      'kernel',
      nn.initializers.lecun_normal(),
      (k, k, channels, self.features),
    )
    bias = self.param('bias', nn.initializers.zeros, (self.features,))
    taps = -(-k // 2)  # inputs that reach a pixel, along an axis
    odd = 2 * taps - k
    weights = jnp.pad(weights, ((0, odd), (0, odd), (0, 0), (0, 0)))
    # Pixel 2 j + a sums kernel 2 d + a at input j - d.
    weights = weights.reshape(taps, 2, taps, 2, channels, self.features)
    weights = weights.transpose(0, 2, 4, 1, 3, 5).reshape(-1, 4 * self.features)
    flat = x.reshape(-1, height, width, channels)
    reaching = [
      jnp.pad(flat, ((0, 0), (i, taps - 1 - i), (j, taps - 1 - j), (0, 0)))
      for i in range(taps)
      for j in range(taps)
    ]
    rows, columns = height + taps - 1, width + taps - 1
    blocks = product(jnp.concatenate(reaching, axis=-1), weights)
    return blocks.reshape(*lead, rows, columns, 2, 2, self.features) + bias


def interleave(blocks: jax.Array, kernel: int) -> jax.Array:
  """Blocks [..., H, W, 2, 2, C] -> [..., 2 H, 2 W, C].

  Without the last row and column if the kernel that made the blocks is odd.
  """
  *lead, rows, columns, _, _, channels = blocks.shape
  x = blocks.swapaxes(-3, -4).reshape(*lead, 2 * rows, 2 * columns, channels)
  odd = kernel % 2
  return x[..., : 2 * rows - odd, : 2 * columns - odd, :]


def _doubled(
  x: jax.Array, channels: int, kernel: int, factors: jax.Array | None
) -> jax.Array:
  """A section of the decoder: blocks of 2x2 pixels."""
  x = _residual(x, factors)
  return nn.PReLU()(TransposedConv(channels, kernel)(x))


def _residual(x: jax.Array, factors: jax.Array | None) -> jax.Array:
  y = nn.PReLU()(_filtered(x, factors))
  return nn.PReLU()(x + _filtered(y, factors))


def _filtered(x: jax.Array, factors: jax.Array | None) -> jax.Array:
  """A 3x3 convolution, its filters multiplied by predicted factors if any."""
  channels = x.shape[-1]
  conv = _conv(channels, 3)
  if factors is None:
    return conv(x)
  predicted = 1.0 + Dense(2 * channels, kernel_init=nn.initializers.zeros)(
    factors
  )
  before, after = jnp.split(predicted[..., None, None, :], 2, axis=-1)
  return after * conv(before * x)


def _conv(
  channels: int, kernel: int, strides: int = 1, padding: str = 'SAME'
) -> nn.Conv:
  size = (kernel, kernel)
  return nn.Conv(
    channels, size, strides, padding, conv_general_dilated=narrow.convolve
  )
