"""Convolutions that XLA on CPU computes slowly as they are: the same, faster.

jaxlib 0.10.2 gives a convolution to its fast library (YNN) if the channels,
inputs times outputs, are more than 256. With four of zeros beside its inputs
one of 16 channels is among them, which pays where a device is one core: several
share the work better in the other library (Eigen). The gradient of its filters
is faster without. One that halves an image by even filters sees whole blocks of
2x2 pixels, and is a matrix product of them.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from gen1shot import parallel
from gen1shot.nn.rows import product

_SLOW = 256  # channels, inputs times outputs, that are still too few
_MULTIPLE = 4  # of inputs: an odd number of them is slower than none of zeros

Convolve = Callable[[jax.Array, jax.Array], jax.Array]


def convolve(
  x: jax.Array,
  kernel: jax.Array,
  strides: tuple[int, ...],
  padding: Any,
  **settings: Any,
) -> jax.Array:
  """Takes the place of `lax.conv_general_dilated` in `nn.Conv`.

  Args:
    x: [N, H, W, I].
    kernel: [k, l, I, O].
    strides: as of `lax.conv_general_dilated`.
    padding: likewise; `nn.Conv` hands its names on.
    **settings: likewise; without dilation, and one group.

  Returns:
    [N, H', W', O].
  """
  plain = functools.partial(
    jax.lax.conv_general_dilated,
    window_strides=strides,
    padding=padding,
    **settings,
  )
  if jax.default_backend() != 'cpu':
    return plain(x, kernel)
  sides = *x.shape[1:3], *kernel.shape[:2]
  even = all(side % 2 == 0 for side in sides)
  if even and padding == 'VALID' and tuple(strides) == (2, 2):
    return _of_blocks(x, kernel)
  *_, inputs, outputs = kernel.shape
  if parallel.a_core_each() and 0 < _zeros(inputs, outputs) <= inputs // 2:
    return _widened(plain)(x, kernel)
  return plain(x, kernel)


def _of_blocks(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Stride 2, VALID: one product of what the outputs see."""
  number, height, width, inputs = x.shape
  down, right = (side // 2 for side in kernel.shape[:2])
  x = x.reshape(number, height // 2, 2, width // 2, 2, inputs).swapaxes(2, 3)
  blocks = x.reshape(number, height // 2, width // 2, 4 * inputs)
  rows, columns = height // 2 - down + 1, width // 2 - right + 1
  seen = [
    blocks[:, i : i + rows, j : j + columns]
    for i in range(down)
    for j in range(right)
  ]
  weights = kernel.reshape(down, 2, right, 2, inputs, -1).swapaxes(1, 2)
  weights = weights.reshape(len(seen) * 4 * inputs, -1)
  return product(jnp.concatenate(seen, -1), weights)


def _zeros(inputs: int, outputs: int) -> int:
  """How many inputs of zeros make the channels enough; 0 if they are."""
  if inputs * outputs > _SLOW:
    return 0
  enough = _SLOW // outputs + 1
  return enough + -enough % _MULTIPLE - inputs


def _widened(plain: Convolve) -> Convolve:
  """The same function with zeros beside the inputs."""

  @jax.custom_jvp
  def wide(x: jax.Array, kernel: jax.Array) -> jax.Array:
    zeros = _zeros(*kernel.shape[2:])
    x = jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, zeros)))
    return plain(x, jnp.pad(kernel, ((0, 0), (0, 0), (0, zeros), (0, 0))))

  @wide.defjvp
  def _(primals, tangents):
    (x, kernel), (dx, dkernel) = primals, tangents
    return wide(x, kernel), wide(dx, kernel) + plain(x, dkernel)

  return wide
