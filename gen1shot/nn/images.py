"""Encoders of images to feature vectors and decoders back.

Four families behind three constructors: `conv`, the published convolutions of
the neural statistician; `residual`, those of generative matching networks;
`mixer`, matrix products only (patches and mixer blocks, Tolstikhin et al.
2021), the faster one where convolutions are slow; `dense`, residual MLPs on the
flat array, for objects of any shape.

Encoders map [..., *shape] to [..., features], heads and decoders several
vectors [..., D_i] to one, or to [..., *shape[:-1], outputs]; any leading axes.
"""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn

from gen1shot.errors import InputError, check_choice
from gen1shot.nn import residual
from gen1shot.nn.dense import MLP, join, small_init

NETS = ('conv', 'dense', 'mixer', 'residual')
PATCH = 7  # pixels, of the mixer


def image_encoder(
  nets: str, shape: tuple[int, ...], width: int, depth: int, features: int
) -> nn.Module:
  """The encoder of a family: [..., *shape] -> [..., features].

  `width` counts channels (of the first stage, for `conv`), `depth` blocks
  (for `conv` it is fixed by the publication, for `residual` both are).

  Raises:
    InputError: unknown family, or a shape that the family cannot take.
  """
  _check(nets, shape)
  if nets == 'conv':
    return ConvEncoder(width, features)
  if nets == 'mixer':
    _check_divides(num_tokens(shape), features)
    return MixerEncoder(width, depth, features)
  if nets == 'residual':
    if features != residual.FEATURES:
      raise InputError(
        f'nets=residual has features {residual.FEATURES}; got {features}'
      )
    return residual.ResidualEncoder()
  return DenseEncoder(width, depth, features, len(shape))


def image_decoder(
  nets: str,
  shape: tuple[int, ...],
  width: int,
  depth: int,
  outputs: int,
  dynamic: bool = False,
) -> nn.Module:
  """The decoder of a family: [..., D] -> [..., *shape[:-1], outputs].

  With `dynamic` its last input predicts factors of its filters (`residual`).

  Raises:
    InputError: unknown family, or a shape that the family cannot give.
  """
  _check(nets, shape)
  if dynamic and nets != 'residual':
    raise InputError(f'decoder=dynamic goes with nets=residual; got {nets}')
  if nets == 'conv':
    return ConvDecoder(width, outputs)
  if nets == 'residual':
    return residual.ResidualDecoder(outputs, dynamic)
  if nets == 'mixer':
    return MixerDecoder(shape, width, depth, outputs)
  return DenseDecoder(shape, width, depth, outputs)


def image_head(
  nets: str, shape: tuple[int, ...], width: int, depth: int, features: int
) -> nn.Module:
  """What maps vectors [..., F_i] to parameters [..., features], two a number.

  An MLP, but for `mixer`: there a vector is a row of tokens, one a patch, and
  stays one, so that what is known of a place in the image is found there.

  Raises:
    InputError: vectors of these sizes cannot be divided among the tokens.
  """
  _check(nets, shape)
  if nets != 'mixer':
    return MLP(features, width, depth)
  tokens = num_tokens(shape)
  _check_divides(tokens, features // 2)
  return TokenMixer(tokens, features, width, depth)


def num_tokens(shape: tuple[int, ...]) -> int:
  """How many patches an image [H, W, C] has."""
  return shape[0] // PATCH * (shape[1] // PATCH)


def _check_divides(tokens: int, size: int) -> None:
  if size % tokens:
    raise InputError(
      f'with nets=mixer, features, c_dim and z_dim must be divisible by the '
      f'{tokens} patches of an image; got {size}'
    )


def _check(nets: str, shape: tuple[int, ...]) -> None:
  check_choice('nets', nets, NETS)
  if nets in ('conv', 'residual') and shape[:-1] != (28, 28):
    raise InputError(f'nets={nets} takes images of 28x28 pixels; got {shape}')
  if nets == 'mixer' and (
    len(shape) != 3 or shape[0] % PATCH or shape[1] % PATCH
  ):
    raise InputError(
      f'nets=mixer takes images [H, W, C] of sides divisible by {PATCH}; '
      f'got {shape}'
    )


def flatten(x: jax.Array, ndim: int) -> jax.Array:
  """Makes one axis of the last `ndim`; other axes may be empty."""
  return x.reshape(*x.shape[:-ndim], math.prod(x.shape[-ndim:]))


class DenseEncoder(nn.Module):
  """A residual MLP on the flattened object."""

  width: int
  depth: int
  features: int
  object_ndim: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    flat = flatten(x, self.object_ndim)
    return MLP(self.features, self.width, self.depth)(flat)


class DenseDecoder(nn.Module):
  """A residual MLP to the flattened object."""

  shape: tuple[int, ...]
  width: int
  depth: int
  outputs: int

  @nn.compact
  def __call__(self, *inputs: jax.Array) -> jax.Array:
    size = math.prod(self.shape[:-1]) * self.outputs
    flat = MLP(size, self.width, self.depth)(*inputs)
    return flat.reshape(*flat.shape[:-1], *self.shape[:-1], self.outputs)


class MixerBlock(nn.Module):
  """Mixes tokens, then channels: [..., tokens, width], same shape."""

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    tokens, width = x.shape[-2:]
    y = x.swapaxes(-1, -2)
    y = nn.relu(nn.Dense(2 * tokens)(y))
    y = nn.Dense(tokens, kernel_init=small_init)(y)
    x = x + y.swapaxes(-1, -2)
    y = nn.relu(nn.Dense(2 * width)(x))
    return x + nn.Dense(width, kernel_init=small_init)(y)


class MixerEncoder(nn.Module):
  """Patches, mixer blocks, features / tokens numbers of each token."""

  width: int
  depth: int
  features: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    x = nn.Dense(self.width)(to_patches(x))
    for _ in range(self.depth):
      x = MixerBlock()(x)
    x = nn.Dense(self.features // x.shape[-2])(x)
    return flatten(x, 2)


class TokenMixer(nn.Module):
  """Vectors of tokens -> `features` numbers, through mixer blocks.

  What an MLP is to flat vectors: each input [..., tokens D_i] gives every token
  its own D_i numbers; an input of fewer numbers than tokens is seen by all.
  """

  tokens: int
  features: int
  width: int
  depth: int
  parts: int = 2  # mean and log variance

  @nn.compact
  def __call__(self, *inputs: jax.Array) -> jax.Array:
    x = join(*(self._to_tokens(x) for x in inputs))
    x = nn.Dense(self.width)(x)
    for _ in range(self.depth):
      x = MixerBlock()(x)
    own = self.features // self.tokens
    x = nn.Dense(own)(x)
    # [..., tokens, 2 d] -> [..., 2, tokens, d]: halving the vector, as for
    # means and log variances, halves what every token gives.
    x = x.reshape(*x.shape[:-1], self.parts, own // self.parts)
    x = x.swapaxes(-2, -3)
    return flatten(x, 3)

  def _to_tokens(self, x: jax.Array) -> jax.Array:
    if x.shape[-1] < self.tokens:
      return x[..., None, :]
    size = x.shape[-1] // self.tokens
    return x.reshape(*x.shape[:-1], self.tokens, size)


class MixerDecoder(nn.Module):
  """The mirror of the encoder: vectors of tokens to patches."""

  shape: tuple[int, ...]
  width: int
  depth: int
  outputs: int

  @nn.compact
  def __call__(self, *inputs: jax.Array) -> jax.Array:
    rows, columns = self.shape[0] // PATCH, self.shape[1] // PATCH
    tokens = num_tokens(self.shape)
    size = tokens * PATCH * PATCH * self.outputs
    x = TokenMixer(tokens, size, self.width, self.depth, 1)(*inputs)
    return from_patches(x.reshape(*x.shape[:-1], tokens, -1), rows, columns)


def to_patches(x: jax.Array) -> jax.Array:
  """[..., H, W, C] -> [..., H W / PATCH^2, PATCH^2 C]."""
  *lead, height, width, channels = x.shape
  x = x.reshape(*lead, height // PATCH, PATCH, width // PATCH, PATCH, channels)
  return x.swapaxes(-3, -4).reshape(
    *lead, num_tokens((height, width, channels)), PATCH * PATCH * channels
  )


def from_patches(x: jax.Array, rows: int, columns: int) -> jax.Array:
  """The inverse of `to_patches`: [..., rows columns, PATCH^2 C] -> an image."""
  lead = x.shape[:-2]
  x = x.reshape(*lead, rows, columns, PATCH, PATCH, -1).swapaxes(-3, -4)
  return x.reshape(*lead, rows * PATCH, columns * PATCH, -1)


class ConvEncoder(nn.Module):
  """Three stages of conv3x3, conv3x3, conv3x3/2 with ELU, then flat.

  The Omniglot encoder of Edwards & Storkey 2016 (width 64: 64, 128, 256
  channels). They normalise over the batch, which would tie the episodes of a
  batch together; here each image is normalised by itself.
  """

  width: int
  features: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    for stage in range(3):
      for strides in (1, 1, 2):
        x = _conv(x, self.width * 2**stage, strides)
    return nn.Dense(self.features)(flatten(x, 3))


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
    x = nn.Dense(4 * 4 * channels)(v).reshape(*v.shape[:-1], 4, 4, channels)
    for stage, paddings in enumerate(
      (('SAME', 'SAME'), ('SAME', 'SAME'), ('SAME', 'VALID'))
    ):
      channels = self.width * 2 ** (2 - stage)
      for padding in paddings:
        x = _conv(x, channels, padding=padding)
      x = _normalise(_double(x, channels))
    return nn.Dense(self.outputs)(x)


def _conv(
  x: jax.Array, channels: int, strides: int = 1, padding: str = 'SAME'
) -> jax.Array:
  x = nn.Conv(channels, (3, 3), strides, padding, use_bias=False)(x)
  return _normalise(x)


def _normalise(x: jax.Array) -> jax.Array:
  # Over pixels and channels together: a blank pixel alone has no variance, and
  # its gradient would grow a thousandfold a layer.
  return elu(nn.GroupNorm(num_groups=1, reduction_axes=(-3, -2, -1))(x))


def _double(x: jax.Array, channels: int) -> jax.Array:
  """Transposed convolution, kernel 2x2 and stride 2: [..., 2 H, 2 W, channels].

  Its taps do not overlap, so it is one matrix product a pixel followed by a
  change of layout.
  """
  *lead, height, width, _ = x.shape
  x = nn.Dense(4 * channels, use_bias=False)(x)
  x = x.reshape(*lead, height, width, 2, 2, channels).swapaxes(-3, -4)
  return x.reshape(*lead, 2 * height, 2 * width, channels)


@jax.custom_vjp
def elu(x: jax.Array) -> jax.Array:
  """ELU whose gradient is read off its output, not computed anew."""
  return jnp.where(x > 0, x, jnp.expm1(jnp.minimum(x, 0)))


def _elu_forward(x: jax.Array) -> tuple[jax.Array, jax.Array]:
  y = elu(x)
  return y, y


elu.defvjp(_elu_forward, lambda y, g: (jnp.where(y > 0, g, g * (y + 1)),))
