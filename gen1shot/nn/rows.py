"""Products of rows with a matrix, to which `vmap` only adds rows.

The gradient of the matrix is a sum over all rows. `jax.vmap` gives those that
it adds an axis of their own, and XLA on CPU lays out anew what is summed over
several axes. Here they are one axis, in a primitive that has rules of its own.
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir


def product(
  x: jax.Array, matrix: jax.Array, precision: Any = None
) -> jax.Array:
  """x @ matrix: [..., I] times [I, O] is [..., O].

  On accelerators, and of what is spread over devices, it is `jnp.matmul`.

  Args:
    x: of one axis or more.
    matrix: of two.
    precision: as of `jnp.matmul`.

  Raises:
    TypeError: the sizes do not match.
  """
  spread = _is_spread(x) or _is_spread(matrix)
  if spread or jax.default_backend() != 'cpu':
    return jnp.matmul(x, matrix, precision=precision)
  dtype = jnp.result_type(x, matrix)
  x, matrix = jnp.asarray(x, dtype), jnp.asarray(matrix, dtype)
  return _rows_times_matrix.bind(x, matrix, precision=precision)


def _is_spread(array: jax.Array) -> bool:
  """By explicit sharding, or differs between the devices of `shard_map`."""
  of = jax.typeof(array)
  return any(of.sharding.spec) or bool(of.manual_axis_type.varying)


def _is_product(primitive: Primitive, *_: Any, **__: Any) -> bool:
  return primitive is _rows_times_matrix


# The policy of `jax.checkpoint` that keeps dense layers.
saveable = jax.checkpoint_policies.save_from_both_policies(
  _is_product, jax.checkpoint_policies.dots_with_no_batch_dims_saveable
)


def _dot_general(x, matrix, dimension_numbers, precision=None) -> jax.Array:
  del dimension_numbers  # of a dense layer, always those of `product`
  return product(x, matrix, precision=precision)


Dense = functools.partial(nn.Dense, dot_general=_dot_general)


def _flat(x: jax.Array) -> jax.Array:
  return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def _multiply(x: jax.Array, matrix: jax.Array, precision: Any) -> jax.Array:
  y = jnp.matmul(_flat(x), matrix, precision=precision)
  return y.reshape(*x.shape[:-1], y.shape[-1])


def _shape(x: Any, matrix: Any, precision: Any) -> Any:
  del precision
  if matrix.ndim != 2 or x.shape[-1:] != matrix.shape[:1]:
    raise TypeError(
      f'product takes [..., I] and [I, O]; got {x.shape} and {matrix.shape}'
    )
  return x.update(shape=(*x.shape[:-1], matrix.shape[1]))


def _gradient_of_rows(g: jax.Array, x: Any, matrix: jax.Array, precision: Any):
  del x
  return product(g, matrix.T, precision)


def _gradient_of_matrix(
  g: jax.Array, x: jax.Array, matrix: Any, precision: Any
) -> jax.Array:
  inputs, outputs = matrix.aval.shape
  x, g = _flat(x), _flat(g)
  rows = x.shape[0]
  if not (isinstance(rows, int) and rows > inputs > outputs):
    return jnp.matmul(x.T, g, precision=precision)
  # XLA's library is up to twice as fast where the result is wide, which pays
  # for laying it out anew if the rows are many.
  wide = jnp.matmul(g.T, x, precision=precision)
  return jax.lax.optimization_barrier(wide).T


def _batch(arrays, axes, precision: Any) -> tuple[jax.Array, int]:
  (x, matrix), (axis, axis_of_matrix) = arrays, axes
  if axis_of_matrix is None:
    return product(jnp.moveaxis(x, axis, 0), matrix, precision), 0
  own = functools.partial(jnp.matmul, precision=precision)
  return jax.vmap(own, axes)(x, matrix), 0


_rows_times_matrix = Primitive('rows_times_matrix')
_rows_times_matrix.def_impl(jax.jit(_multiply, static_argnames='precision'))
_rows_times_matrix.def_abstract_eval(_shape)
ad.defbilinear(_rows_times_matrix, _gradient_of_rows, _gradient_of_matrix)
batching.primitive_batchers[_rows_times_matrix] = _batch
mlir.register_lowering(_rows_times_matrix, mlir.lower_fun(_multiply, False))
