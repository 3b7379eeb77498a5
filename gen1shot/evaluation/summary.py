"""Summaries: the few objects of a set that say most of what it says.

Edwards & Storkey 2016.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from gen1shot import compilation
from gen1shot.bounds import Params
from gen1shot.distributions import kl
from gen1shot.errors import InputError


def make_summary(
  module: nn.Module, size: int
) -> Callable[[Params, jax.Array], jax.Array]:
  """`summarise(params, x) -> kept`, compiled.

  Objects x [T, *shape], whose `size` that are kept are True in a boolean [T].
  From the set D one object after the other is dropped, each time the one that
  leaves a set S with the smallest KL(q(c | D) || q(c | S)).

  Raises (when it is called):
    InputError: not 1 <= size <= T.
  """

  def summarise(params: Params, x: jax.Array) -> jax.Array:
    T = len(x)
    if not 1 <= size <= T:
      raise InputError(
        f'a summary must have 1 to {T} objects, those of the set; got {size}'
      )

    def embed(kept: jax.Array) -> Any:
      return module.apply({'params': params}, x, kept, method='embed')

    whole = jnp.ones(T, bool)
    target = embed(whole)

    def drop(kept: jax.Array, _: None):
      def cost(candidate: jax.Array) -> jax.Array:
        rest = kept.at[candidate].set(False)
        return kl(target, embed(rest)).sum()

      costs = jax.vmap(cost)(jnp.arange(T))
      dropped = jnp.where(kept, costs, jnp.inf).argmin()
      return kept.at[dropped].set(False), None

    return jax.lax.scan(drop, whole, None, T - size)[0]

  return compilation.jit(summarise)
