"""Mixed precision: products in bfloat16, everything else in float32.

Dense layers and convolutions take bfloat16 operands; maps of a few channels
(`canvas.Channels`) do not. Parameters, what lies between layers, latents,
likelihoods, KL terms and sums are float32, and so are gradients, which loops
add up.
"""

import contextlib
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from gen1shot.bounds import Params
from gen1shot.nn.residual import TransposedConv

_LAYERS = (nn.Dense, nn.Conv, TransposedConv)


def computing_in(precision: str) -> contextlib.AbstractContextManager[Any]:
  """Where Flax modules that are called compute in float32 or bfloat16."""
  if precision == 'float32':
    return contextlib.nullcontext()
  return nn.intercept_methods(_Lowered())


class _Lowered:
  """Calls layers in bfloat16, with parameters cast where they are used.

  So the gradients of a layer in a loop are added up in float32.
  """

  inside = False  # a layer, whose own call is intercepted again

  def __call__(self, call, args, kwargs, context):
    module = context.module
    lowers = context.method_name == '__call__' and isinstance(module, _LAYERS)
    if self.inside or not lowers:
      return call(*args, **kwargs)
    own = module.variables['params']
    alone = module.clone(parent=None, name=None)
    self.inside = True
    try:
      product = alone.apply(
        {'params': _products(own)}, *_cast(args, jnp.bfloat16)
      )
    finally:
      self.inside = False
    return jnp.float32(product) + own.get('bias', 0.0)


def _products(params: Params) -> Params:
  """Of a layer, without the bias, which is added outside of it.

  The gradient of a bias is a sum over all that the layer gives, in which
  bfloat16 would come to a halt.
  """
  return {
    name: value.astype(jnp.bfloat16)
    if name != 'bias'
    else jnp.zeros_like(value, jnp.bfloat16)
    for name, value in params.items()
  }


def _cast(tree: Any, dtype: Any) -> Any:
  return jax.tree.map(lambda leaf: leaf.astype(dtype), tree)
