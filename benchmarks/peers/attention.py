"""Windows onto images: differentiable reads and writes at an attended place.

Shapes: B objects, N pixels a side of the patch, images [B, H, W, C].
"""

from collections.abc import Callable
from typing import Any, NamedTuple

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


class TurnedWindow(NamedTuple):
  """The factors of a kernel that is not separable, to read with."""

  rows: Tensor  # [B, N, N, H]
  columns: Tensor  # [B, N, N, W]

  def read(self, image: Tensor) -> Tensor:
    """The patch that is seen: [B, H, W, C] -> [B, N, N, C]."""
    seen = torch.einsum('bnmw,bhwc->bnmhc', self.columns, image)
    return torch.einsum('bnmh,bnmhc->bnmc', self.rows, seen)


class Grid(NamedTuple):
  """Where the pixels of an image lie in the patch, to write with."""

  places: Tensor  # [B, H, W, 2] as x and y, from -1 to 1

  def write(self, patch: Tensor) -> Tensor:
    """A patch [B, N, N, C] -> [B, H, W, C]."""
    drawn = functional.grid_sample(
      patch.movedim(3, 1), self.places, align_corners=True
    )
    return drawn.movedim(1, 3)


Make = Callable[[Tensor, int, int, int], Any]


class Attend(nn.Module):
  """States [B, inputs] -> windows between patches and images."""

  def __init__(
    self, make: Make, count: int, inputs: int, size: int, sides: tuple[int, int]
  ):
    super().__init__()
    self.make, self.size, self.sides = make, size, sides
    self.told = nn.Linear(inputs, count)

  def forward(self, state: Tensor) -> Any:
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


def turned_sampler(
  parameters: Tensor, size: int, height: int, width: int
) -> TurnedWindow:
  """As the `sampler`, of a window that turns and shears.

  Parameters [B, 6]: the four of the sampler, the angle and the shear.
  """
  A, shift = affine_map(parameters)
  side = coordinates(size, A)
  patch = torch.stack(torch.meshgrid(side, side, indexing='xy'), -1)
  places = torch.einsum('bij,nmj->bnmi', A, patch) + shift[:, None, None]
  spacing = A.norm(dim=2) / (size - 1)  # [B, 2], along x and y

  def kernels(axis: int, side: int) -> Tensor:
    reach = (spacing[:, axis] * (side - 1)).clamp(min=1).view(-1, 1, 1, 1)
    distance = index(places[..., axis, None], side) - pixels(side, A)
    return hat(distance / reach) / reach

  return TurnedWindow(kernels(1, height), kernels(0, width))


def turned_painter(
  parameters: Tensor, size: int, height: int, width: int
) -> Grid:
  """The inverse map of the `turned_sampler` with these parameters."""
  del size
  A, shift = affine_map(parameters)
  image = torch.meshgrid(
    coordinates(width, A), coordinates(height, A), indexing='xy'
  )
  apart = torch.stack(image, -1) - shift[:, None, None]
  return Grid(torch.einsum('bij,bhwj->bhwi', torch.linalg.inv(A), apart))


def affine_map(parameters: Tensor) -> tuple[Tensor, Tensor]:
  """A [B, 2, 2] and t [B, 2] of u -> A u + t, with u as x and y."""
  log_sx, log_sy, tx, ty, angle, shear = parameters.unbind(1)
  one, zero = torch.ones_like(angle), torch.zeros_like(angle)

  def matrix(*entries: Tensor) -> Tensor:
    return torch.stack(entries, -1).unflatten(-1, (2, 2))

  turn = matrix(angle.cos(), -angle.sin(), angle.sin(), angle.cos())
  slant = matrix(one, shear, zero, one)
  scale = matrix(log_sx.exp(), zero, zero, log_sy.exp())
  return turn @ slant @ scale, torch.stack([tx, ty], -1)


# attention -> (to read, to write, parameters)
WINDOWS: dict[str, tuple[Make, Make, int]] = {
  'filterbank': (filterbank, filterbank, 5),
  'transformer': (sampler, painter, 4),
  'affine': (turned_sampler, turned_painter, 6),
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
