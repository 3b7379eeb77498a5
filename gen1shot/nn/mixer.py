"""Matrix products only: patches and mixer blocks (Tolstikhin et al. 2021).

A vector is a row of tokens, one a patch, so that what is known of a place in
the image is found there.
"""

import jax
from flax import linen as nn

from gen1shot.errors import InputError
from gen1shot.nn.dense import flatten, join, small_init
from gen1shot.nn.rows import Dense

PATCH = 7  # pixels


def num_tokens(shape: tuple[int, ...]) -> int:
  """How many patches an image [H, W, C] has."""
  return shape[0] // PATCH * (shape[1] // PATCH)


class MixerBlock(nn.Module):
  """Mixes tokens, then channels: [..., tokens, width], same shape."""

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    tokens, width = x.shape[-2:]
    y = x.swapaxes(-1, -2)
    y = nn.relu(Dense(2 * tokens)(y))
    y = Dense(tokens, kernel_init=small_init)(y)
    x = x + y.swapaxes(-1, -2)
    y = nn.relu(Dense(2 * width)(x))
    return x + Dense(width, kernel_init=small_init)(y)


class MixerEncoder(nn.Module):
  """Patches, mixer blocks, features / tokens numbers of each token."""

  width: int
  depth: int
  features: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    x = Dense(self.width)(to_patches(x))
    for _ in range(self.depth):
      x = MixerBlock()(x)
    x = Dense(self.features // x.shape[-2])(x)
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
    x = Dense(self.width)(x)
    for _ in range(self.depth):
      x = MixerBlock()(x)
    own = self.features // self.tokens
    x = Dense(own)(x)
    # [..., tokens, 2 d] -> [..., 2, tokens, d]: halving the vector, as for
    # means and log variances, halves what every token gives.
    x = x.reshape(*x.shape[:-1], self.parts, own // self.parts)
    x = x.swapaxes(-2, -3)
    return flatten(x, 3)

  def _to_tokens(self, x: jax.Array) -> jax.Array:
    if x.shape[-1] < self.tokens:
      return x[..., None, :]
    size, rest = divmod(x.shape[-1], self.tokens)
    if rest:
      raise InputError(
        f'vectors must be divided among {self.tokens} tokens with nets=mixer; '
        f'got {x.shape[-1]} numbers'
      )
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
