"""New exemplars of concepts shown once or a few times."""

from collections.abc import Callable
from typing import Any

import jax
from flax import linen as nn

from gen1shot import compilation
from gen1shot.bounds import Params


def make_sampler(
  module: nn.Module, num_samples: int, method: str = 'predict'
) -> Callable[..., Any]:
  """`sample(params, support, key, mask=None) -> means`, compiled.

  Support [rows, N, *shape], one concept a row, gives the means of new objects
  [rows, num_samples, *shape]; N = 0 is unconditional. The mask, boolean
  [rows, N], tells which objects of a row count. Each row has a key of its own,
  split from `key`. With `method` paint, which recurrent models have, it gives
  the strokes of the same samples.
  """

  def sample(
    params: Params,
    support: jax.Array,
    key: jax.Array,
    mask: jax.Array | None = None,
  ):
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
