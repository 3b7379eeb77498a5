"""Loops of a module whose dense layers have one gradient for all steps.

The gradient of a matrix is a sum over steps of products, each too small to be
fast. Here the loop tells what its dense layers were given, [steps, ..., I], and
is differentiated by what is added to their outputs, [steps, ..., O]: one
product of these two takes the place of the sum. Layers that compute in bfloat16
(`precision`) have a gradient of each step, as in `lax.scan`.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.traverse_util import flatten_dict
from jax.custom_derivatives import SymbolicZero

from gen1shot.nn.rows import product


class _Call(NamedTuple):
  """Of a dense layer within a step."""

  kernel: int  # which of the leaves
  outputs: int  # O


def scan(
  step: Callable[..., tuple[Any, Any]],
  module: nn.Module,
  carry: Any,
  xs: Any,
  given: tuple[Any, ...],
  transform: Callable[[Callable[..., Any]], Callable[..., Any]],
  unroll: int,
) -> tuple[Any, Any]:
  """`lax.scan` of `step(module, carry, x, *given)` over the leading axis of xs.

  Args:
    step: draws no random numbers, changes no variables of the module, and
      closes over no arrays. It calls dense layers with one positional argument,
      not within a transformation; nothing else may use their matrices, as that
      gradient would be lost.
    module: bound to its parameters.
    carry: what the first step is handed.
    xs: leaves [steps, ...].
    given: arrays that all steps see.
    transform: of the body of the loop, such as `jax.checkpoint`.
    unroll: as of `lax.scan`.

  Returns:
    The last carry, and what the steps tell, leaves [steps, ...].
  """
  free, variables = module.unbind()
  args = variables['params'], carry, xs, given
  leaves, treedef = jax.tree.flatten(args)
  places: Any = flatten_dict(treedef.unflatten(range(len(leaves)))[0])
  calls: list[_Call] = []  # of the step that was traced last

  def run(leaves: Sequence[jax.Array], offsets: Sequence[jax.Array]):
    """What the loop returns, and what its dense layers are given."""
    params, carry, xs, given = treedef.unflatten(leaves)

    def body(carry, both):
      x, offsets = both
      calls.clear()
      inputs: list[jax.Array] = []

      def listen(call, args, kwargs, context):
        y = call(*args, **kwargs)
        path = context.module.path
        if not (isinstance(context.module, nn.Dense) and path):
          return y  # no layer of the module, or a copy in bfloat16
        if offsets:
          y = _offset(y, offsets[len(inputs)])
        calls.append(_Call(places[(*path, 'kernel')], y.shape[-1]))
        inputs.append(args[0].astype(y.dtype))
        return y

      with nn.intercept_methods(listen):
        carry, told = free.apply(
          {'params': params}, carry, x, *given, method=step
        )
      return carry, (told, inputs)

    carry, (told, inputs) = jax.lax.scan(
      transform(body), carry, (xs, offsets), unroll=unroll
    )
    return (carry, told), inputs

  _, shapes = jax.eval_shape(run, leaves, ())
  if not calls:
    return run(leaves, ())[0]
  kernels = [call.kernel for call in calls]
  outputs = [call.outputs for call in calls]

  @jax.custom_jvp
  def loop(*leaves):
    return run(leaves, ())[0]

  def derivative(leaves, dots):
    zeros = [
      jnp.zeros((*x.shape[:-1], width), x.dtype)
      for x, width in zip(shapes, outputs, strict=True)
    ]
    moves = {
      i: dot for i, dot in enumerate(dots) if not isinstance(dot, SymbolicZero)
    }
    others = {i: dot for i, dot in moves.items() if i not in kernels}

    def moved(some, offsets):
      every = dict(enumerate(leaves)) | some
      return run([every[i] for i in range(len(leaves))], offsets)

    result, linear, inputs = jax.linearize(
      moved, {i: leaves[i] for i in others}, zeros, has_aux=True
    )
    offsets = [
      product(x, moves[i].astype(x.dtype)) if i in moves else zero
      for i, x, zero in zip(kernels, inputs, zeros, strict=True)
    ]
    return result, linear(others, offsets)

  loop.defjvp(derivative, symbolic_zeros=True)
  return loop(*leaves)


@jax.custom_jvp
def _offset(y: jax.Array, zero: jax.Array) -> jax.Array:
  """y + zero."""
  del zero
  return y


_offset.defjvps(lambda dy, *_: dy, lambda dzero, *_: dzero)
