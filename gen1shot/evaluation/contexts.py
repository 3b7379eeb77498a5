"""Contexts of held-out sets."""

from typing import Any

import jax
from flax import linen as nn

from gen1shot import compilation
from gen1shot.bounds import Params
from gen1shot.data.episodes import Dataset, EpisodeSpec, sample_episode
from gen1shot.distributions import DiagGaussian

_SETS_AT_ONCE = 20


def embed_sets(
  module: nn.Module,
  params: Params,
  dataset: Dataset,
  spec: EpisodeSpec,
  key: jax.Array,
) -> tuple[DiagGaussian, jax.Array]:
  """What `embed` says of sets, [E, D], and the class of each, int32 [E].

  `spec.batch_size` sets are drawn, each of one class; the key is consumed.

  Raises:
    InputError: the data set cannot provide such sets.
  """

  def embed(params: Params, dataset: Dataset, keys: jax.Array):
    def q(x: jax.Array) -> Any:
      return module.apply({'params': params}, x, method='embed')

    def one(key: jax.Array):
      drawn = sample_episode(key, dataset, spec)
      return q(drawn.objects), drawn.labels[0]

    return jax.lax.map(one, keys, batch_size=_SETS_AT_ONCE)

  keys = jax.random.split(key, spec.batch_size)
  return compilation.jit(embed)(params, dataset, keys)
