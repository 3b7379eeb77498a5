"""The published convolutions of the neural statistician, for 28x28 images."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from benchmarks.peers.dense import join


class Normalised(nn.Module):
  """A layer of images [N, C, H, W], each image normalised, then ELU."""

  def __init__(self, layer: nn.Conv2d | nn.ConvTranspose2d):
    super().__init__()
    self.layer = layer
    self.norm = nn.GroupNorm(1, layer.out_channels, eps=1e-6)

  def forward(self, x: Tensor) -> Tensor:
    return functional.elu(self.norm(self.layer(x)), inplace=True)


def conv(inputs: int, channels: int, stride: int = 1, pad: bool = True):
  """A 3x3 convolution.

  At stride 2, `padding=1` leaves the last row and column of even sides
  unpadded, XLA's SAME the first: the encoders are mirror images.
  """
  layer = nn.Conv2d(inputs, channels, 3, stride, int(pad), bias=False)
  return Normalised(layer)


class ConvEncoder(nn.Module):
  """[..., 28, 28, C] -> [..., features]."""

  def __init__(self, shape, width: int, depth: int, features: int):
    super().__init__()
    del depth  # fixed by the publication
    layers, inputs = [], shape[-1]
    for channels in (width, 2 * width, 4 * width):
      for stride in (1, 1, 2):
        layers.append(conv(inputs, channels, stride))
        inputs = channels
    self.stages = nn.Sequential(*layers)
    self.last = nn.Linear(4 * 4 * inputs, features)

  def forward(self, x: Tensor) -> Tensor:
    y = self.stages(x.flatten(0, -4).permute(0, 3, 1, 2))
    y = self.last(y.permute(0, 2, 3, 1).flatten(1))
    return y.unflatten(0, x.shape[:-3])


class ConvDecoder(nn.Module):
  """Vectors [..., D_i] -> [..., 28, 28, C]."""

  def __init__(self, shape, width: int, depth: int, inputs: Sequence[int]):
    super().__init__()
    del depth  # fixed by the publication
    self.first = nn.Linear(sum(inputs), 4 * 4 * 4 * width)
    layers, before = [], 4 * width
    for channels in (4 * width, 2 * width, width):
      layers += [
        conv(before, channels),
        conv(channels, channels, pad=channels > width),
        Normalised(nn.ConvTranspose2d(channels, channels, 2, 2, bias=False)),
      ]
      before = channels
    self.stages = nn.Sequential(*layers)
    self.last = nn.Linear(before, shape[-1])

  def forward(self, *vectors: Tensor) -> Tensor:
    v = join(*vectors)
    x = self.first(v).view(-1, 4, 4, self.first.out_features // 16)
    x = self.last(self.stages(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))
    return x.unflatten(0, v.shape[:-1])
