"""Windows onto images: differentiable reads and writes at an attended place.

The kernels of an upright window are separable, so that a read and a write are
two matrix products; of a window that turns they are one, with a larger kernel.
Shapes: N pixels a side of the patch, images [H, W, C]; any leading axes. Pixels
are numbered from 0; a side of n pixels has its middle at (n - 1) / 2.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct


@struct.dataclass
class Window:
  """Separable kernels between a patch and an image."""

  rows: jax.Array  # [..., N, H]
  columns: jax.Array  # [..., N, W]
  gain: jax.Array  # [...]
  box: jax.Array  # [..., 4]: top, bottom, left, right of the patch, in pixels

  def read(self, image: jax.Array) -> jax.Array:
    """The patch that is seen: [..., H, W, C] -> [..., N, N, C]."""
    seen = jnp.einsum('...nh,...hwc->...nwc', self.rows, image)
    seen = jnp.einsum('...mw,...nwc->...nmc', self.columns, seen)
    return self.gain[..., None, None, None] * seen

  def write(self, patch: jax.Array) -> jax.Array:
    """The transposed product: a patch [..., N, N, C] -> [..., H, W, C].

    The adjoint of `read` but for the gain, which divides.
    """
    patch = patch / self.gain[..., None, None, None]
    # Rows last, as they give the image in its own layout.
    drawn = jnp.einsum('...mw,...nmc->...nwc', self.columns, patch)
    return jnp.einsum('...nh,...nwc->...hwc', self.rows, drawn)


def filterbank(
  parameters: jax.Array, size: int, height: int, width: int
) -> Window:
  """A grid of size x size Gaussian filters (Gregor et al. 2015, section 3.2).

  Args:
    parameters: [..., 5]: centre of the grid as x and y, from -1 to 1 across the
      image, log variance, log stride and log gain. Zeros put the grid in the
      middle, as wide as the longer side.
    size: N.
    height: H.
    width: W.
  """
  x, y, logvar, log_stride, log_gain = jnp.moveaxis(parameters, -1, 0)[
    ..., None
  ]
  stride = jnp.exp(log_stride) * (max(height, width) - 1) / max(size - 1, 1)
  centre_y = (height + 1) / 2 * (y + 1) - 1
  centre_x = (width + 1) / 2 * (x + 1) - 1
  # All filters as one vector, those of the rows first: on CPU XLA computes a
  # long one many numbers at a time.
  sides = np.repeat([height, width], size)  # of each filter
  offsets = np.arange(size) - (size - 1) / 2
  is_row = np.arange(size * (height + width)) < size * height
  last = np.repeat(sides, sides) - 1
  pixel = np.concatenate([np.arange(side) for side in sides])
  mean = jnp.where(is_row, centre_y, centre_x)
  mean += stride * np.repeat(np.tile(offsets, 2), sides)
  # Softmax over the pixels: a row sums to 1, however far outside it looks.
  # Its largest exponent is that of the pixel next to the mean.
  least = jax.lax.stop_gradient(
    (jnp.clip(jnp.round(mean), 0, last) - mean) ** 2
  )
  weights = jnp.exp(0.5 * (least - (pixel - mean) ** 2) * jnp.exp(-logvar))

  def normalised(weights: jax.Array, side: int) -> jax.Array:
    weights = weights.reshape(*weights.shape[:-1], size, side)
    return weights / weights.sum(-1, keepdims=True)

  rows, columns = jnp.split(weights, [size * height], axis=-1)
  edges = stride * offsets[[0, -1]]
  box = jnp.concatenate([centre_y + edges, centre_x + edges], axis=-1)
  return Window(
    normalised(rows, height),
    normalised(columns, width),
    jnp.exp(log_gain[..., 0]),
    box,
  )


def transformer(
  parameters: jax.Array, size: int, height: int, width: int
) -> tuple[Window, Window]:
  """Windows of a spatial transformer (Jaderberg et al. 2015) and its inverse.

  The affine maps are scales and translations: coordinates, from -1 to 1 between
  the middles of the outermost pixels, go from u in the patch to s u + t in the
  image. Both kernels are bilinear, with nothing outside. Where the patch is
  coarser than the image, a read averages the pixels between its places: else
  strokes fall through the grid, and what is seen jumps as the window moves.

  Args:
    parameters: [..., 4]: log s along x and y, t along x and y. Zeros are the
      identity.
    size: N, at least 2.
    height: H.
    width: W.

  Returns:
    The window to `read` through, which samples the image at the places of the
    patch, and the window to `write` through, which samples the patch at the
    places of the image.
  """
  log_sx, log_sy, tx, ty = jnp.moveaxis(parameters, -1, 0)

  def kernels(
    log_scale: jax.Array, shift: jax.Array, side: int
  ) -> tuple[jax.Array, jax.Array, jax.Array]:
    scale, shift = jnp.exp(log_scale)[..., None], shift[..., None]
    of_patch = scale * jnp.linspace(-1, 1, size) + shift  # in the image
    of_image = (jnp.linspace(-1, 1, side) - shift) / scale  # in the patch
    apart = scale * (side - 1) / (size - 1)  # pixels of the image
    width = jnp.maximum(1.0, apart)[..., None]
    places = _index(of_patch, side)
    distance = places[..., :, None] - jnp.arange(side)
    reading = _hat(distance / width) / width
    writing = _hat(
      _index(of_image, size)[..., None, :] - jnp.arange(size)[:, None]
    )
    return reading, writing, places[..., [0, -1]]

  read_rows, write_rows, vertical = kernels(log_sy, ty, height)
  read_columns, write_columns, horizontal = kernels(log_sx, tx, width)
  one = jnp.ones(log_sx.shape)
  box = jnp.concatenate([vertical, horizontal], axis=-1)
  return (
    Window(read_rows, read_columns, one, box),
    Window(write_rows, write_columns, one, box),
  )


@struct.dataclass
class TurnedWindow:
  """Samples a source [..., I, J, C] at A x B places that lie anywhere in it.

  To read, the source is the image and the places are those of the patch; to
  write, the other way round. Only the two factors of the kernel are kept, and
  columns are summed before they meet rows.
  """

  rows: jax.Array  # [..., A, B, I]
  columns: jax.Array  # [..., A, B, J]
  box: jax.Array  # [..., 4]: as of a `Window`, around all four corners

  def read(self, source: jax.Array) -> jax.Array:
    """What is at the places: [..., I, J, C] -> [..., A, B, C]."""
    seen = jnp.einsum('...abj,...ijc->...abic', self.columns, source)
    return jnp.einsum('...abi,...abic->...abc', self.rows, seen)

  write = read


def affine(
  parameters: jax.Array, size: int, height: int, width: int
) -> tuple[TurnedWindow, TurnedWindow]:
  """Windows of a spatial transformer with all six degrees of freedom.

  Jaderberg et al. 2015, equation 1: coordinates go from u in the patch to
  A u + t in the image, with A = R(angle) [[1, shear], [0, 1]] diag(s). Both
  kernels are bilinear, and a coarse read averages, as those of `transformer`,
  which this one equals without angle and shear.

  Args:
    parameters: [..., 6]: log s along x and y, t along x and y, the angle in
      radians (from x to y, which points down) and the shear. Zeros are the
      identity.
    size: N, at least 2.
    height: H.
    width: W.

  Returns:
    The windows to `read` and to `write` through.
  """
  log_sx, log_sy, tx, ty, angle, shear = jnp.moveaxis(parameters, -1, 0)
  sx, sy = jnp.exp(log_sx), jnp.exp(log_sy)
  cos, sin = jnp.cos(angle), jnp.sin(angle)
  a, b = sx * cos, sy * (shear * cos - sin)  # x of the image
  c, d = sx * sin, sy * (shear * sin + cos)  # y of the image

  def hats(places: jax.Array, side: int, spread: jax.Array) -> jax.Array:
    spread = jnp.maximum(1.0, spread)[..., None, None, None]
    distance = _index(places, side)[..., None] - jnp.arange(side)
    return _hat(distance / spread) / spread

  def grid(rows: int, columns: int) -> list[jax.Array]:
    return jnp.meshgrid(jnp.linspace(-1, 1, columns), jnp.linspace(-1, 1, rows))

  def over(x: jax.Array) -> jax.Array:
    return x[..., None, None]

  u, v = grid(size, size)
  x = over(a) * u + over(b) * v + over(tx)  # [..., N, N], in the image
  y = over(c) * u + over(d) * v + over(ty)
  # How far neighbours of the patch are apart, in pixels of the image.
  apart_x = jnp.hypot(a, b) * (width - 1) / (size - 1)
  apart_y = jnp.hypot(c, d) * (height - 1) / (size - 1)
  seen = hats(y, height, apart_y), hats(x, width, apart_x)
  rows, columns = _index(y, height), _index(x, width)
  box = jnp.stack(
    [
      bound(places, axis=(-2, -1))
      for places in (rows, columns)
      for bound in (jnp.min, jnp.max)
    ],
    axis=-1,
  )
  p, q = grid(height, width)
  p, q = p - over(tx), q - over(ty)
  # [..., H, W], in the patch: the inverse of A
  u = (over(d) * p - over(b) * q) / over(sx * sy)
  v = (over(a) * q - over(c) * p) / over(sx * sy)
  one = jnp.ones(tx.shape)
  drawn = hats(v, size, one), hats(u, size, one)
  return TurnedWindow(*seen, box), TurnedWindow(*drawn, box)


def _index(coordinate: jax.Array, side: int) -> jax.Array:
  """From -1..1 to the numbers of pixels."""
  return (coordinate + 1) / 2 * (side - 1)


def _hat(distance: jax.Array) -> jax.Array:
  """The linear kernel."""
  return jnp.maximum(0.0, 1.0 - jnp.abs(distance))
