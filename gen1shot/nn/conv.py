"""The convolutions of the neural statistician, for 28x28 images.

The Omniglot nets of Edwards & Storkey 2016, who normalise over the batch. That
would tie the episodes of a batch together: here each image is normalised by
itself. What convolves is `winograd.convolve`.
"""

import jax
from flax import linen as nn

from gen1shot.nn.dense import flatten, join
from gen1shot.nn.rows import Dense
from gen1shot.nn.winograd import convolve


class ConvEncoder(nn.Module):
  """Three stages of conv3x3, conv3x3, conv3x3/2 with ELU, then flat.

  64, 128 and 256 channels at width 64, as published.
  """

  width: int
  features: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    for stage in range(3):
      for strides in (1, 1, 2):
        x = _conv(x, self.width * 2**stage, strides)
    return Dense(self.features)(flatten(x, 3))


class ConvDecoder(nn.Module):
  """4x4 -> 8x8 -> 16x16, cut to 14x14 by a VALID convolution, -> 28x28.

  The Omniglot decoder of Edwards & Storkey 2016: two conv3x3 and a transposed
  conv2x2/2 a stage, of 256, 128 and 64 channels at width 64.
  """

  width: int
  outputs: int

  @nn.compact
  def __call__(self, *inputs: jax.Array) -> jax.Array:
    v = join(*inputs)
    channels = 4 * self.width
    x = Dense(4 * 4 * channels)(v).reshape(*v.shape[:-1], 4, 4, channels)
    for stage, paddings in enumerate(
      (('SAME', 'SAME'), ('SAME', 'SAME'), ('SAME', 'VALID'))
    ):
      channels = self.width * 2 ** (2 - stage)
      for padding in paddings:
        x = _conv(x, channels, padding=padding)
      x = _normalise(_double(x, channels))
    return Dense(self.outputs)(x)


def _conv(
  x: jax.Array, channels: int, strides: int = 1, padding: str = 'SAME'
) -> jax.Array:
  conv = nn.Conv(
    channels,
    (3, 3),
    strides,
    padding,
    use_bias=False,
    conv_general_dilated=convolve,
  )
  return _normalise(conv(x))


def _normalise(x: jax.Array) -> jax.Array:
  # Over pixels and channels together: a blank pixel alone has no variance, and
  # its gradient would grow a thousandfold a layer.
  return nn.elu(nn.GroupNorm(1, reduction_axes=(-3, -2, -1))(x))


def _double(x: jax.Array, channels: int) -> jax.Array:
  """Transposed convolution, kernel 2x2 and stride 2: [..., 2 H, 2 W, channels].

  Its taps do not overlap, so it is one matrix product a pixel followed by a
  change of layout.
  """
  *lead, height, width, _ = x.shape
  x = Dense(4 * channels, use_bias=False)(x)
  x = x.reshape(*lead, height, width, 2, 2, channels).swapaxes(-3, -4)
  return x.reshape(*lead, 2 * height, 2 * width, channels)
