"""Convolutions of few channels, which XLA on CPU computes slowly as they are.

Both functions stand in for `lax.conv_general_dilated` in `nn.Conv`. jaxlib
0.10.2 gives a convolution to its fast library (YNN) if the channels, inputs
times outputs, are more than 256. One of 16 channels is among them with a few of
zeros beside its inputs, and takes three quarters of the time; the gradient of
its filters is faster without.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

_SLOW = 256  # channels, inputs times outputs, that are still too few
_MULTIPLE = 4  # of inputs: an odd number of them is slower than none of zeros

Convolve = Callable[[jax.Array, jax.Array], jax.Array]


def convolve(
  x: jax.Array, kernel: jax.Array, *settings: Any, **more: Any
) -> jax.Array:
  """A convolution, also of few channels.

  Args:
    x: [N, H, W, I].
    kernel: [k, l, I, O].
    *settings: for `lax.conv_general_dilated`.
    **more: likewise.

  Returns:
    [N, H', W', O].
  """

  def plain(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return jax.lax.conv_general_dilated(x, kernel, *settings, **more)

  *_, inputs, outputs = kernel.shape
  if jax.default_backend() != 'cpu' or inputs * outputs > _SLOW:
    return plain(x, kernel)
  return _widened(plain)(x, kernel)


def halve(
  x: jax.Array, kernel: jax.Array, *settings: Any, **more: Any
) -> jax.Array:
  """One of stride 2, VALID, with even filters, as one matrix product.

  What an output sees are whole blocks of 2x2 pixels.

  Args:
    x: [N, H, W, I], of even H and W.
    kernel: [k, k, I, O], of even k.
    *settings: which say the same.
    **more: likewise.

  Returns:
    [N, (H - k) / 2 + 1, (W - k) / 2 + 1, O].
  """
  del settings, more
  number, height, width, inputs = x.shape
  taps, outputs = len(kernel) // 2, kernel.shape[-1]
  x = x.reshape(number, height // 2, 2, width // 2, 2, inputs).swapaxes(2, 3)
  blocks = x.reshape(number, height // 2, width // 2, 4 * inputs)
  rows, columns = height // 2 - taps + 1, width // 2 - taps + 1
  seen = [
    blocks[:, i : i + rows, j : j + columns]
    for i in range(taps)
    for j in range(taps)
  ]
  weights = kernel.reshape(taps, 2, taps, 2, inputs, outputs).swapaxes(1, 2)
  return jnp.concatenate(seen, -1) @ weights.reshape(-1, outputs)


def _widened(plain: Convolve) -> Convolve:
  """The same function with zeros beside the inputs."""

  @jax.custom_jvp
  def wide(x: jax.Array, kernel: jax.Array) -> jax.Array:
    *_, inputs, outputs = kernel.shape
    enough = _SLOW // outputs + 1
    zeros = enough + -enough % _MULTIPLE - inputs
    x = jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, zeros)))
    return plain(x, jnp.pad(kernel, ((0, 0), (0, 0), (0, zeros), (0, 0))))

  @wide.defjvp
  def _(primals, tangents):
    (x, kernel), (dx, dkernel) = primals, tangents
    return wide(x, kernel), wide(dx, kernel) + plain(x, dkernel)

  return wide
