"""Mixed precision: products in bfloat16, everything else in float32.

Dense layers, convolutions and LSTMs take bfloat16 operands. Parameters, their
gradients and averages, what lies between layers, latents, likelihoods, KL terms
and every reduction are float32.
"""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from gen1shot.bounds import Params
from gen1shot.nn.residual import TransposedConv

_LAYERS = (nn.Dense, nn.Conv, TransposedConv)


@contextlib.contextmanager
def computing_in(precision: str, params: Params) -> Iterator[Params]:
  """Where Flax modules compute in a precision, with the parameters given.

  float32 or bfloat16; gradients of `params` are float32.
  """
  if precision == 'float32':
    yield params
    return
  with nn.intercept_methods(functools.partial(_intercept, params)):
    yield _lowered(params)


def _intercept(params: Params, call, args, kwargs, context):
  module = context.module
  if context.method_name != '__call__':
    return call(*args, **kwargs)
  if isinstance(module, _LAYERS):
    own = functools.reduce(dict.__getitem__, module.path, params)
    product = _cast(call(*_cast(args, jnp.bfloat16)), jnp.float32)
    return product + own.get('bias', 0.0)
  if isinstance(module, nn.OptimizedLSTMCell):
    (memory, state), x = args
    carry = memory, state.astype(jnp.bfloat16)
    return _cast(call(carry, x.astype(jnp.bfloat16)), jnp.float32)
  return call(*args, **kwargs)


def _lowered(params: Params) -> Params:
  """Parameters of products in bfloat16.

  The bias of a layer is added outside of it: its gradient is a sum over all
  that the layer gives, in which bfloat16 would come to a halt.
  """
  if not isinstance(params, dict):
    return params
  if 'hi' in params:  # an LSTM, whose biases are inside of its products
    return _cast(params, jnp.bfloat16)
  if 'kernel' not in params:
    return {name: _lowered(value) for name, value in params.items()}
  return _cast(params, jnp.bfloat16) | {
    name: jnp.zeros_like(value, jnp.bfloat16)
    for name, value in params.items()
    if name == 'bias'
  }


def _cast(tree: Any, dtype: Any) -> Any:
  return jax.tree.map(lambda leaf: leaf.astype(dtype), tree)
