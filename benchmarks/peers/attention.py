"""Windows onto images: differentiable reads and writes at an attended place.

Shapes: B objects, N pixels a side of the patch, images [B, H, W, C].
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

LIMIT = 1.5  # of the parameters of windows, which are 0 for the whole image


class Window(NamedTuple):
  """Separable kernels between a patch and an image."""

  rows: Tensor  # [B, N, H]
  columns: Tensor  # [B, N, W]
  gain: Tensor | None = None  # [B]; None for 1

  def read(self, image: Tensor) -> Tensor:
    """The patch that is seen: [B, H, W, C] -> [B, N, N, C]."""
    seen = torch.einsum('bnh,bhwc->bnwc', self.rows, image)
    seen = torch.einsum('bmw,bnwc->bnmc', self.columns, seen)
    return seen if self.gain is None else seen * self.gain.view(-1, 1, 1, 1)

  def write(self, patch: Tensor) -> Tensor:
    """A patch [B, N, N, C] -> [B, H, W, C]; the gain divides."""
    if self.gain is not None:
      patch = patch / self.gain.view(-1, 1, 1, 1)
    drawn = torch.einsum('bmw,bnmc->bnwc', self.columns, patch)
    return torch.einsum('bnh,bnwc->bhwc', self.rows, drawn)


Make = Callable[[Tensor, int, int, int], Window]


class Attend(nn.Module):
  """States [B, inputs] -> windows between patches and images."""

  def __init__(
    self, make: Make, count: int, inputs: int, size: int, sides: tuple[int, int]
  ):
    super().__init__()
    self.make, self.size, self.sides = make, size, sides
    self.told = nn.Linear(inputs, count)

  def forward(self, state: Tensor) -> Window:
    parameters = LIMIT * torch.tanh(self.told(state) / LIMIT)
    return self.make(parameters, self.size, *self.sides)


def filterbank(
  parameters: Tensor, size: int, height: int, width: int
) -> Window:
  """A grid of Gaussian filters.

  Parameters [B, 5]: centre as x and y, log variance, log stride, log gain.
  """
  x, y, logvar, log_stride, log_gain = parameters.unsqueeze(-1).unbind(1)
  stride = log_stride.exp() * ((max(height, width) - 1) / (size - 1))
  offsets = stride * (pixels(size, parameters) - (size - 1) / 2)
  precision = -0.5 * torch.exp(-logvar).unsqueeze(-1)

  def kernels(middle: Tensor, side: int) -> Tensor:
    means = (side + 1) / 2 * (middle + 1) - 1 + offsets
    distances = pixels(side, parameters) - means.unsqueeze(-1)
    return torch.softmax(precision * distances**2, -1)

  return Window(kernels(y, height), kernels(x, width), log_gain.exp())


def sampler(parameters: Tensor, size: int, height: int, width: int) -> Window:
  """Samples the image at the places of the patch, to read.

  Parameters [B, 4]: log scale along x and y, translation along x and y. Where
  the patch is coarser than the image, the pixels between places are averaged.
  """
  log_sx, log_sy, tx, ty = parameters.unsqueeze(-1).unbind(1)

  def kernels(log_scale: Tensor, shift: Tensor, side: int) -> Tensor:
    scale = log_scale.exp()
    places = index(scale * coordinates(size, scale) + shift, side)
    reach = (scale * ((side - 1) / (size - 1))).clamp(min=1).unsqueeze(-1)
    return hat((places.unsqueeze(-1) - pixels(side, scale)) / reach) / reach

  return Window(kernels(log_sy, ty, height), kernels(log_sx, tx, width))


def painter(parameters: Tensor, size: int, height: int, width: int) -> Window:
  """Samples the patch at the places of the image, to write.

  The inverse map of the `sampler` with these parameters.
  """
  log_sx, log_sy, tx, ty = parameters.unsqueeze(-1).unbind(1)

  def kernels(log_scale: Tensor, shift: Tensor, side: int) -> Tensor:
    places = (coordinates(side, shift) - shift) * torch.exp(-log_scale)
    places = index(places, size).unsqueeze(1)
    return hat(places - pixels(size, shift).unsqueeze(-1))

  return Window(kernels(log_sy, ty, height), kernels(log_sx, tx, width))


# attention -> (to read, to write, parameters)
WINDOWS: dict[str, tuple[Make, Make, int]] = {
  'filterbank': (filterbank, filterbank, 5),
  'transformer': (sampler, painter, 4),
}


def pixels(side: int, like: Tensor) -> Tensor:
  """Their numbers, from 0."""
  return torch.arange(side, dtype=like.dtype, device=like.device)


def coordinates(side: int, like: Tensor) -> Tensor:
  """From -1 to 1."""
  return torch.linspace(-1, 1, side, device=like.device)


def index(coordinate: Tensor, side: int) -> Tensor:
  """From -1..1 to the numbers of pixels."""
  return (coordinate + 1) * ((side - 1) / 2)


def hat(distance: Tensor) -> Tensor:
  """The linear kernel."""
  return functional.relu(1 - distance.abs())
