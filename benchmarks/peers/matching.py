"""Matching against the objects of a memory.

Shapes: B episodes, T objects, M objects in a memory, F features, S the size of
the match space and of the controller's state.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

HIDDEN = -1e30  # the score of what must not be matched


class Memory(NamedTuple):
  """Objects that can be matched."""

  values: Tensor  # [B, M, F]
  keys: Tensor  # [B, M, S], unit vectors if matching is cosine
  visible: Tensor  # boolean [T, M], what position t may match


class Controller(nn.Module):
  """The GRU cell of Flax: PyTorch's, whose state has one bias, not three."""

  def __init__(self, inputs: int, size: int):
    super().__init__()
    self.inputs = nn.Linear(inputs, 3 * size)
    self.state = nn.Linear(size, 3 * size, bias=False)
    self.bias = nn.Parameter(torch.zeros(size))

  def forward(self, x: Tensor, state: Tensor) -> Tensor:
    """[..., inputs] and a state that broadcasts -> the next [..., size]."""
    state = state.expand(*x.shape[:-1], -1)
    after = torch.gru_cell(
      x.flatten(0, -2),
      state.flatten(0, -2),
      self.inputs.weight,
      self.state.weight,
      self.inputs.bias,
      functional.pad(self.bias, (2 * len(self.bias), 0)),
    )
    return after.view(state.shape)


class Matching(nn.Module):
  """Reads a memory by attention, in several passes of a controller."""

  def __init__(self, features: int, size: int, passes: int, kind: str):
    super().__init__()
    self.passes, self.kind = passes, kind
    self.start = nn.Parameter(0.1 * torch.randn(size))
    self.controller = Controller(features, size)
    self.temperature = None if kind == 'average' else nn.Linear(size, 1)

  def forward(
    self, memory: Memory, ask: Callable[[Tensor], Tensor] | None
  ) -> tuple[Tensor, Tensor]:
    """The last answers [..., T, F], and the states that asked for them.

    Args:
      memory: of M objects; where none is visible the answer is 0.
      ask: states -> questions [..., T, S]; None if matching is average.
    """
    state = self.start.unsqueeze(0)
    answer = self._read(memory, ask, state)
    for _ in range(self.passes - 1):
      state = self.controller(answer, state)
      answer = self._read(memory, ask, state)
    return answer, state

  def _read(self, memory: Memory, ask, state: Tensor) -> Tensor:
    if self.kind == 'average':
      scores = state.new_zeros(())
    else:
      question = ask(state)
      if self.kind == 'cosine':
        question = unit(question)
      scores = question @ memory.keys.mT
      scores = scores * functional.softplus(self.temperature(state))
    scores = torch.where(memory.visible, scores, HIDDEN)
    return (scores.softmax(-1) * memory.visible) @ memory.values


def unit(x: Tensor) -> Tensor:
  """Vectors [..., S] divided by their lengths."""
  return x * torch.rsqrt((x * x).sum(-1, keepdim=True) + 1e-6)
