"""Products of rows with a matrix, to which `vmap` only adds rows.

The gradient of the matrix is a sum over all rows. `jax.vmap` gives those that
it adds an axis of their own, and XLA on CPU lays out anew what is summed over
several axes. Here they are one axis, in a primitive that has rules of its own.
"""

import functools
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

  Args:
    x: of one axis or more.
    matrix: of the type of `x`.
    precision: as of `jnp.matmul`.
  """
  # The default of the context is gone when the program is lowered.
  precision = precision or jax.config.jax_default_matmul_precision
  return _product.bind(x, matrix, precision=precision)


def saveable(primitive: Primitive, *_: Any, **__: Any) -> bool:
  """The policy of `jax.checkpoint` that keeps products, thus dense layers."""
  return primitive is _product


def _dot_general(x, matrix, dimension_numbers, precision=None) -> jax.Array:
  del dimension_numbers  # of a dense layer, always those of `product`
  return product(x, matrix, precision=precision)


Dense = functools.partial(nn.Dense, dot_general=_dot_general)


def _rows(x: jax.Array) -> jax.Array:
  return x.reshape(-1, x.shape[-1])


def _multiply(x: jax.Array, matrix: jax.Array, precision: Any) -> jax.Array:
  y = jnp.matmul(_rows(x), matrix, precision=precision)
  return y.reshape(*x.shape[:-1], y.shape[-1])


def _shape(x: Any, matrix: Any, precision: Any) -> Any:
  del precision
  return x.update(shape=(*x.shape[:-1], matrix.shape[1]))


def _gradient_of_rows(g: jax.Array, x: Any, matrix: jax.Array, precision: Any):
  del x
  return product(g, matrix.T, precision)


def _gradient_of_matrix(
  g: jax.Array, x: jax.Array, matrix: Any, precision: Any
) -> jax.Array:
  del matrix
  x, g = _rows(x), _rows(g)
  narrow = len(x) > x.shape[1] > g.shape[1]
  if not narrow or jax.default_backend() != 'cpu':
    return jnp.matmul(x.T, g, precision=precision)
  # XLA's library on CPU is up to twice as fast where the result is wide, which
  # pays for laying it out anew if the rows are many.
  wide = jnp.matmul(g.T, x, precision=precision)
  return jax.lax.optimization_barrier(wide).T


def _batch(arrays, axes, precision: Any) -> tuple[jax.Array, int]:
  (x, matrix), (axis, axis_of_matrix) = arrays, axes
  if axis_of_matrix is None:
    return product(jnp.moveaxis(x, axis, 0), matrix, precision), 0
  own = functools.partial(jnp.matmul, precision=precision)
  return jax.vmap(own, axes)(x, matrix), 0


_product = Primitive('rows_times_matrix')
_product.def_impl(jax.jit(_multiply, static_argnames='precision'))
_product.def_abstract_eval(_shape)
ad.defbilinear(_product, _gradient_of_rows, _gradient_of_matrix)
batching.primitive_batchers[_product] = _batch
mlir.register_lowering(_product, mlir.lower_fun(_multiply, False))
