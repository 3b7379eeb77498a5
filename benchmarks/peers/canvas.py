"""What recurrent painters share: reading, writing, and recurrent cells.

Shapes: B objects, images [B, H, W, C].
"""

import math

import torch
from torch import Tensor, nn

from benchmarks.peers.attention import WINDOWS, Attend

Shape = tuple[int, int, int]
State = tuple[Tensor, Tensor]  # of an LSTM: what it tells and its cell


class Reader(nn.Module):
  """The part of images, joined, that a state attends to: [B, features]."""

  def __init__(self, kind: str, size: int, inputs: int, shape: Shape):
    super().__init__()
    self.attend, self.features = None, math.prod(shape)
    if kind != 'none':
      make, _, count = WINDOWS[kind]
      self.attend = Attend(make, count, inputs, size, shape[:2])
      self.features = size * size * shape[2]

  def forward(self, state: Tensor, *images: Tensor) -> Tensor:
    image = torch.cat(images, -1) if len(images) > 1 else images[0]
    if self.attend is not None:
      image = self.attend(state).read(image)
    return image.flatten(1)


class Writer(nn.Module):
  """What a state draws: [B, inputs] -> [B, *shape]."""

  def __init__(self, kind: str, size: int, inputs: int, shape: Shape):
    super().__init__()
    self.shape = shape if kind == 'none' else (size, size, shape[2])
    self.patch = nn.Linear(inputs, math.prod(self.shape))
    self.attend = None
    if kind != 'none':
      _, make, count = WINDOWS[kind]
      self.attend = Attend(make, count, inputs, size, shape[:2])

  def forward(self, state: Tensor) -> Tensor:
    patch = self.patch(state).unflatten(1, self.shape)
    return patch if self.attend is None else self.attend(state).write(patch)


class LSTM(nn.Module):
  """The LSTM cell of Flax: PyTorch's with one bias, not two."""

  def __init__(self, inputs: int, size: int):
    super().__init__()
    self.inputs = nn.Linear(inputs, 4 * size, bias=False)
    self.state = nn.Linear(size, 4 * size)

  def forward(self, x: Tensor, state: State) -> State:
    bias = self.state.bias
    weights = (self.inputs.weight, self.state.weight)
    return torch.lstm_cell(x, state, *weights, torch.zeros_like(bias), bias)

  def begin(self, like: Tensor) -> State:
    """The state before the first of as many objects as `like` has."""
    nothing = like.new_zeros(len(like), self.state.in_features)
    return nothing, nothing


class GatedUpdate(nn.Module):
  """A convolutional GRU: takes what was drawn into the canvas."""

  def __init__(self, channels: int):
    super().__init__()
    self.gates = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1)
    self.new = nn.Conv2d(2 * channels, channels, 3, padding=1)

  def forward(self, canvas: Tensor, drawn: Tensor) -> Tensor:
    canvas, drawn = (x.permute(0, 3, 1, 2) for x in (canvas, drawn))
    both = torch.cat([canvas, drawn], 1)
    keep, reset = self.gates(both).sigmoid().chunk(2, 1)
    new = self.new(torch.cat([reset * canvas, drawn], 1)).tanh()
    return torch.lerp(new, canvas, keep).permute(0, 2, 3, 1)
