"""New exemplars of concepts shown once or a few times."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from gen1shot import compilation
from gen1shot.bounds import Params
from gen1shot.errors import InputError


def make_sampler(
  module: nn.Module, num_samples: int, method: str = 'predict'
) -> Callable[..., Any]:
  """`sample(params, support, key, mask=None) -> means`, compiled.

  Support [rows, N, *shape], one concept a row, gives the means of new objects
  [rows, num_samples, *shape]; N = 0 is unconditional. The mask, boolean
  [rows, N], tells which objects of a row count. Each row has a key of its own,
  split from `key`. With `method` paint, which recurrent models have, it gives
  the strokes of the same samples. When it is called, it
  raises InputError for a support or a mask of another shape.
  """

  def sample(
    params: Params,
    support: jax.Array,
    key: jax.Array,
    mask: jax.Array | None = None,
  ):
    _check(module, support, mask)

    def one(support: jax.Array, key: jax.Array, mask: jax.Array | None):
      return module.apply(
        {'params': params},
        support,
        num_samples,
        mask,
        method=method,
        rngs={'sample': key},
      )

    return jax.vmap(one)(support, jax.random.split(key, len(support)), mask)

  return compilation.jit(sample)


def _check(
  module: nn.Module, support: jax.Array, mask: jax.Array | None
) -> None:
  """Raises InputError unless a support has the shape that a module takes."""
  words = jnp.issubdtype(support.dtype, jnp.integer)
  shape = () if words else module.observation_shape
  if support.ndim < 2 or support.shape[2:] != shape:
    raise InputError(
      f'support must be [rows, N, *{shape}]; got {list(support.shape)}, '
      f'{support.dtype}'
    )
  if mask is not None and (mask.shape, mask.dtype) != (support.shape[:2], bool):
    raise InputError(
      f'mask must be bool {list(support.shape[:2])}; got {mask.dtype} '
      f'{list(mask.shape)}'
    )
