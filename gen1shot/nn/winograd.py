"""Convolutions of 3x3 in fewer products, for CPUs.

An image is cut into tiles of 4x4 results, each of which depends on 6x6 numbers.
Linear maps of these and of a filter to 6x6 values each, which are multiplied
one by one, and of the products to the results: 36 products a tile and not 144,
which are matrix products over channels (Winograd 1980, F(4x4, 3x3) of Lavin &
Gray 2016). With stride 2 tiles of 2x2 results depend on 5x5 numbers: 25 and not
36. The same numbers but for rounding, of 1e-5 of the largest.

Gradients are by reverse mode only; `jax.jvp` of it is refused by JAX.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jax.experimental.xla_metadata import set_xla_metadata

from gen1shot.nn.rows import product

_ENOUGH = 64  # channels: with fewer the tiles cost more than products save

_Matrix = tuple[tuple[float, ...], ...]
_Parts = Sequence[Sequence[jax.Array]]  # [rows of a tile][columns]


class _Scheme(NamedTuple):
  """How m products make r results of a tile of d numbers, along an axis."""

  to_values: _Matrix  # m, d
  of_filter: _Matrix  # m, 3
  to_results: _Matrix  # r, m


# By strides. Of one: the points 0, 1, -1, 2, -2 and infinity (Lavin & Gray). Of
# two: 0, 1 and infinity for the outer taps, which see every other number, and
# two products of the middle tap with the others.
_SCHEMES = {
  1: _Scheme(
    to_values=(
      (4, 0, -5, 0, 1, 0),
      (0, -4, -4, 1, 1, 0),
      (0, 4, -4, -1, 1, 0),
      (0, -2, -1, 2, 1, 0),
      (0, 2, -1, -2, 1, 0),
      (0, 4, 0, -5, 0, 1),
    ),
    of_filter=(
      (1 / 4, 0, 0),
      (-1 / 6, -1 / 6, -1 / 6),
      (-1 / 6, 1 / 6, -1 / 6),
      (1 / 24, 1 / 12, 1 / 6),
      (1 / 24, -1 / 12, 1 / 6),
      (0, 0, 1),
    ),
    to_results=(
      (1, 1, 1, 1, 1, 0),
      (0, 1, -1, 2, -2, 0),
      (0, 1, 1, 4, 4, 0),
      (0, 1, -1, 8, -8, 1),
    ),
  ),
  2: _Scheme(
    to_values=(
      (1, 0, -1, 0, 0),
      (0, 0, 1, 0, 0),
      (0, 0, -1, 0, 1),
      (0, 1, 0, 0, 0),
      (0, 0, 0, 1, 0),
    ),
    of_filter=((1, 0, 0), (1, 0, 1), (0, 0, 1), (0, 1, 0), (0, 1, 0)),
    to_results=((1, 1, 0, 1, 0), (0, 1, 1, 0, 1)),
  ),
}


def convolve(
  x: jax.Array,
  kernel: jax.Array,
  strides: tuple[int, ...],
  padding: Any,
  **settings: Any,
) -> jax.Array:
  """Takes the place of `lax.conv_general_dilated` in `nn.Conv`.

  Of [N, H, W, I] and a kernel [k, l, I, O]: [N, H', W', O], as
  `narrow.convolve`, without dilation and of one group.
  """
  pays = (
    jax.default_backend() == 'cpu'
    and x.dtype == kernel.dtype == jnp.float32
    and kernel.shape[:2] == (3, 3)
    and tuple(strides) in ((1, 1), (2, 2))
    and padding in ('SAME', 'VALID')
    and min(x.shape[1:3]) >= 3
    and min(kernel.shape[2:]) >= _ENOUGH
  )
  if not pays:
    return jax.lax.conv_general_dilated(x, kernel, strides, padding, **settings)
  stride, scheme = strides[0], _SCHEMES[strides[0]]
  pads = jax.lax.padtype_to_pads(x.shape[1:3], (3, 3), strides, padding)
  sides = tuple(
    (side + sum(pad) - 3) // stride + 1
    for side, pad in zip(x.shape[1:3], pads, strict=True)
  )
  step = len(scheme.to_results)
  tiles = tuple(-(-side // step) for side in sides)
  border = tuple(before for before, _ in pads)
  of_image = _Plan(stride * step, border, x.shape[1:3], tiles)
  of_results = _Plan(step, (0, 0), sides, tiles)
  values = cast(_Parts, _apart(x, scheme.to_values, of_image))
  products = [
    [product(*pair) for pair in zip(*rows, strict=True)]
    for rows in zip(values, _of_filter(kernel, scheme.of_filter), strict=True)
  ]
  return _together(products, scheme.to_results, of_results)


class _Plan(NamedTuple):
  """Where the tiles of an image are."""

  step: int  # from one to the next
  border: tuple[int, ...]  # zeros above and to the left of the image
  sides: tuple[int, ...]  # H, W
  tiles: tuple[int, ...]  # that lie on it


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _apart(x: jax.Array, matrix: _Matrix, plan: _Plan) -> _Parts:
  """[N, H, W, C] -> m m arrays [N, *tiles, C]: M d M^T of every tile d.

  For a matrix M [m, d]; tiles may overlap.
  """
  size = len(matrix[0])
  pads = tuple(
    (border, plan.step * (tiles - 1) + size - border - side, 0)
    for border, side, tiles in zip(*plan[1:], strict=True)
  )
  x = _outlined(jax.lax.pad)(x, 0.0, ((0, 0, 0), *pads, (0, 0, 0)))
  rows = _outlined(_of_tiles)(x, matrix, 1, plan)
  return [_of_tiles(row, matrix, 2, plan) for row in rows]


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _together(parts: _Parts, matrix: _Matrix, plan: _Plan) -> jax.Array:
  """The transpose of `_apart`: d d arrays [N, *tiles, C] -> [N, H, W, C].

  For a matrix M [m, d]; the m m numbers of tiles are added where they overlap.
  """
  rows = [_outlined(_overlaid)(row, matrix, 2, plan.step) for row in parts]
  columns = [
    _outlined(_overlaid)(column, matrix, 1, plan.step)
    for column in zip(*rows, strict=True)
  ]
  rows = [_outlined(_alternate)(row, 2) for row in zip(*columns, strict=True)]
  image = _outlined(_alternate)(rows, 1)
  return _outlined(_cut)(image, plan)


_apart.defvjp(
  lambda x, matrix, plan: (_apart(x, matrix, plan), None),
  lambda matrix, plan, _, g: (_together(g, _transposed(matrix), plan),),
)
_together.defvjp(
  lambda parts, matrix, plan: (_together(parts, matrix, plan), None),
  lambda matrix, plan, _, g: (_apart(g, _transposed(matrix), plan),),
)


def _transposed(matrix: _Matrix) -> _Matrix:
  return tuple(zip(*matrix, strict=True))


def _of_filter(kernel: jax.Array, matrix: _Matrix) -> _Parts:
  """[3, 3, I, O] -> m m arrays [I, O]."""
  _, _, inputs, outputs = kernel.shape
  taps = jax.lax.split(kernel.reshape(9 * inputs, outputs), [inputs] * 9)
  rows = [_combined(taps[3 * i : 3 * i + 3], matrix) for i in range(3)]
  columns = [_combined(rows, matrix) for rows in zip(*rows, strict=True)]
  return list(zip(*columns, strict=True))


def _of_tiles(
  x: jax.Array, matrix: _Matrix, axis: int, plan: _Plan
) -> list[jax.Array]:
  last = plan.step * (plan.tiles[axis - 1] - 1)
  numbers = [
    jax.lax.slice_in_dim(x, i, i + last + 1, plan.step, axis)
    for i in range(len(matrix[0]))
  ]
  return _combined(numbers, matrix)


def _overlaid(
  parts: Sequence[jax.Array], matrix: _Matrix, axis: int, step: int
) -> list[jax.Array]:
  """As many arrays as a step has numbers; a tile more where tiles overlap."""
  numbers = _combined(parts, matrix)
  own, beyond = numbers[:step], numbers[step:]
  if not beyond:
    return own
  zero = jnp.zeros_like(jax.lax.slice_in_dim(own[0], 0, 1, axis=axis))
  longer = [jnp.concatenate([part, zero], axis) for part in own]
  for i, part in enumerate(beyond):
    longer[i] += jnp.concatenate([zero, part], axis)
  return longer


def _cut(image: jax.Array, plan: _Plan) -> jax.Array:
  height, width = (
    slice(border, border + side)
    for border, side in zip(plan.border, plan.sides, strict=True)
  )
  return image[:, height, width]


def _alternate(parts: Sequence[jax.Array], axis: int) -> jax.Array:
  """Takes numbers of each in turns."""
  stacked = jnp.stack(parts, axis + 1)
  shape = list(parts[0].shape)
  shape[axis] *= len(parts)
  return stacked.reshape(shape)


def _combined(parts: Sequence[jax.Array], matrix: _Matrix) -> list[jax.Array]:
  """The product of a matrix with a column of arrays."""
  return [
    functools.reduce(
      jnp.add, (m * part for m, part in zip(row, parts, strict=True) if m)
    )
    for row in matrix
  ]


def _outlined(function: Callable[..., Any]) -> Callable[..., Any]:
  """Keeps XLA from fusing a function with others.

  It would compute anew for every result what these share, and choose for every
  number among the parts of which an image is put together.
  """

  def call(arrays: Any, *settings: Any) -> Any:
    with set_xla_metadata(inlineable='false'):
      return _compiled(function, *settings)(arrays)

  return call


@functools.cache
def _compiled(function: Callable[..., Any], *settings: Any) -> Any:
  return jax.jit(lambda arrays: function(arrays, *settings))
