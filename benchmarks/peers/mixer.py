"""Images as tokens, one a patch, and mixer blocks between them."""

import math
from collections.abc import Sequence

from torch import Tensor, nn

from benchmarks.peers.dense import join

PATCH = 7  # pixels


def num_tokens(shape: tuple[int, ...]) -> int:
  """How many patches an image [H, W, C] has."""
  return shape[0] // PATCH * (shape[1] // PATCH)


class MixerBlock(nn.Module):
  """Mixes tokens, then channels: [..., tokens, width], same shape."""

  def __init__(self, tokens: int, width: int):
    super().__init__()
    self.tokens, self.channels = (
      nn.Sequential(nn.Linear(n, 2 * n), nn.ReLU(), nn.Linear(2 * n, n))
      for n in (tokens, width)
    )

  def forward(self, x: Tensor) -> Tensor:
    x = x + self.tokens(x.mT).mT
    return x + self.channels(x)


class MixerEncoder(nn.Module):
  """[..., H, W, C] -> [..., features], features / tokens of each token."""

  def __init__(self, shape, width: int, depth: int, features: int):
    super().__init__()
    tokens = num_tokens(shape)
    self.patches = nn.Linear(PATCH**2 * shape[-1], width)
    self.blocks = nn.Sequential(
      *(MixerBlock(tokens, width) for _ in range(depth))
    )
    self.last = nn.Linear(width, features // tokens)

  def forward(self, x: Tensor) -> Tensor:
    x = x.unflatten(-2, (-1, PATCH)).unflatten(-4, (-1, PATCH))
    x = x.transpose(-3, -4).flatten(-5, -4).flatten(-3)
    return self.last(self.blocks(self.patches(x))).flatten(-2)


class TokenMixer(nn.Module):
  """Vectors of tokens [..., F_i] -> [..., features], `depth` mixer blocks.

  A vector of fewer numbers than tokens is seen by all tokens. Each of `parts`
  equal parts of the output is a vector of tokens.
  """

  def __init__(
    self,
    tokens: int,
    inputs: Sequence[int],
    features: int,
    width: int,
    depth: int,
    parts: int = 2,
  ):
    super().__init__()
    self.tokens, self.parts = tokens, parts
    channels = sum(n if n < tokens else n // tokens for n in inputs)
    self.first = nn.Linear(channels, width)
    self.blocks = nn.Sequential(
      *(MixerBlock(tokens, width) for _ in range(depth))
    )
    self.last = nn.Linear(width, features // tokens)

  def forward(self, *vectors: Tensor) -> Tensor:
    x = join(*(self._to_tokens(v) for v in vectors))
    x = self.last(self.blocks(self.first(x)))
    x = x.unflatten(-1, (self.parts, -1)).transpose(-2, -3)
    return x.flatten(-3)

  def _to_tokens(self, v: Tensor) -> Tensor:
    if v.shape[-1] < self.tokens:
      return v.unsqueeze(-2)
    return v.unflatten(-1, (self.tokens, -1))


class MixerDecoder(nn.Module):
  """Vectors of tokens [..., D_i] -> [..., H, W, C]."""

  def __init__(self, shape, width: int, depth: int, inputs: Sequence[int]):
    super().__init__()
    self.rows, self.columns = shape[0] // PATCH, shape[1] // PATCH
    self.mixer = TokenMixer(
      num_tokens(shape), inputs, math.prod(shape), width, depth, parts=1
    )

  def forward(self, *vectors: Tensor) -> Tensor:
    x = self.mixer(*vectors)
    x = x.unflatten(-1, (self.rows, self.columns, PATCH, PATCH, -1))
    return x.transpose(-3, -4).flatten(-5, -4).flatten(-3, -2)
