"""The residual convolutions of generative matching networks, 28x28 images.

Three sections, 28x28 -> 13x13x16 -> 6x6x32 -> 3x3x32 and back; each has one
residual block, and PReLU after every convolution.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from benchmarks.peers.dense import join

# Channels and kernel of each convolution of stride 2, and of its mirror images.
ENCODER = ((16, 4), (32, 3), (32, 2))
DECODER = ((32, 2), (16, 3), (16, 4))
FEATURES = 3 * 3 * 32


class Conv(nn.Module):
  """A 3x3 convolution, its filters multiplied by factors that v predicts."""

  def __init__(self, channels: int, v_size: int):
    super().__init__()
    self.factors = nn.Linear(v_size, 2 * channels) if v_size else None
    self.conv = nn.Conv2d(channels, channels, 3, padding=1)

  def forward(self, x: Tensor, v: Tensor | None) -> Tensor:
    """[N, C, H, W] and [N, v_size] -> [N, C, H, W]."""
    if self.factors is None:
      return self.conv(x)
    before, after = (1 + self.factors(v))[:, :, None, None].chunk(2, 1)
    return after * self.conv(before * x)


class Block(nn.Module):
  """Two convolutions around which x is carried; v_size 0 is without factors."""

  def __init__(self, channels: int, v_size: int = 0):
    super().__init__()
    self.first, self.first_act = Conv(channels, v_size), nn.PReLU()
    self.second, self.second_act = Conv(channels, v_size), nn.PReLU()

  def forward(self, x: Tensor, v: Tensor | None = None) -> Tensor:
    y = self.first_act(self.first(x, v))
    return self.second_act(x + self.second(y, v))


class Doubling(nn.Module):
  """A block, then a convolution that doubles height and width."""

  def __init__(self, inputs: int, channels: int, kernel: int, v_size: int):
    super().__init__()
    self.block = Block(inputs, v_size)
    self.conv = nn.ConvTranspose2d(inputs, channels, kernel, 2)
    self.act = nn.PReLU()

  def forward(self, x: Tensor, v: Tensor) -> Tensor:
    return self.act(self.conv(self.block(x, v)))


class ResidualEncoder(nn.Module):
  """[..., 28, 28, C] -> [..., 288]."""

  def __init__(self, shape, width: int, depth: int, features: int):
    super().__init__()
    del width, depth, features  # fixed by the publication
    layers, inputs = [], shape[-1]
    for channels, kernel in ENCODER:
      layers += [
        nn.Conv2d(inputs, channels, kernel, 2),
        nn.PReLU(),
        Block(channels),
      ]
      inputs = channels
    self.sections = nn.Sequential(*layers)

  def forward(self, x: Tensor) -> Tensor:
    y = self.sections(x.flatten(0, -4).permute(0, 3, 1, 2))
    return y.permute(0, 2, 3, 1).flatten(1).unflatten(0, x.shape[:-3])


class ResidualDecoder(nn.Module):
  """Vectors [..., D_i] -> [..., 28, 28, C].

  With `dynamic` the last vector predicts factors of the filters.
  """

  def __init__(
    self,
    shape,
    width: int,
    depth: int,
    inputs: Sequence[int],
    dynamic: bool = False,
  ):
    super().__init__()
    del width, depth  # fixed by the publication
    self.v_size = inputs[-1] if dynamic else 0
    self.first = nn.Sequential(nn.Linear(sum(inputs), FEATURES), nn.PReLU())
    self.sections = nn.ModuleList()
    before = ENCODER[-1][0]
    for channels, kernel in DECODER:
      self.sections.append(Doubling(before, channels, kernel, self.v_size))
      before = channels
    self.last = nn.Conv2d(before, shape[-1], 1)

  def forward(self, *vectors: Tensor) -> Tensor:
    joined = join(*vectors)
    flat = joined.flatten(0, -2)
    v = flat[:, -self.v_size :]
    x = self.first(flat).view(-1, 3, 3, FEATURES // 9).permute(0, 3, 1, 2)
    for section in self.sections:
      x = section(x, v)
    return self.last(x).permute(0, 2, 3, 1).unflatten(0, joined.shape[:-1])
