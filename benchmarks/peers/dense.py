"""Multilayer perceptrons on the last axis."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


def join(*inputs: Tensor) -> Tensor:
  """Concatenates on the last axis, with the other axes broadcast."""
  lead = torch.broadcast_shapes(*(x.shape[:-1] for x in inputs))
  return torch.cat([x.expand(*lead, x.shape[-1]) for x in inputs], -1)


class MLP(nn.Module):
  """Vectors [..., F_i], joined -> [..., features], `depth` residual layers."""

  def __init__(self, inputs: int, features: int, width: int, depth: int):
    super().__init__()
    self.first = nn.Linear(inputs, width) if depth else None
    self.residual = nn.ModuleList(
      nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
      for _ in range(depth - 1)
    )
    self.last = nn.Linear(width if depth else inputs, features)

  def forward(self, *vectors: Tensor) -> Tensor:
    x = join(*vectors)
    if self.first is not None:
      x = functional.relu(self.first(x))
    for branch in self.residual:
      x = x + branch(x)
    return self.last(x)


class DenseEncoder(nn.Module):
  """[..., H, W, C] -> [..., features]."""

  def __init__(self, shape, width: int, depth: int, features: int):
    super().__init__()
    self.mlp = MLP(math.prod(shape), features, width, depth)

  def forward(self, x: Tensor) -> Tensor:
    return self.mlp(x.flatten(-3))


class DenseDecoder(nn.Module):
  """Vectors [..., D_i] -> [..., H, W, C]."""

  def __init__(self, shape, width: int, depth: int, inputs: Sequence[int]):
    super().__init__()
    self.shape = shape
    self.mlp = MLP(sum(inputs), math.prod(shape), width, depth)

  def forward(self, *vectors: Tensor) -> Tensor:
    return self.mlp(*vectors).unflatten(-1, self.shape)
