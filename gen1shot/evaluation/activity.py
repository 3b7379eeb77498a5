"""Which units of a posterior carry information."""

import jax
import numpy as np
from flax import linen as nn

from gen1shot import compilation
from gen1shot.bounds import Params
from gen1shot.data.episodes import Dataset, EpisodeSpec
from gen1shot.evaluation.likelihood import draw

THRESHOLD = 0.01


def active_units(
  module: nn.Module,
  params: Params,
  dataset: Dataset,
  objects: int,
  key: jax.Array,
) -> np.ndarray:
  """Which units of `embed` of one object are active: boolean [D].

  A unit u is active where the variance over x of E_q(u | x)[u] is above 0.01
  (Burda et al. 2016, section 5.2). Of several stochastic layers it is the top
  one. `objects` are drawn, each of a class of its own choice; the key is
  consumed.
  """
  x = draw(dataset, EpisodeSpec(objects, 1), key)
  embed = compilation.jit(
    jax.vmap(
      lambda params, x: module.apply({'params': params}, x, method='embed'),
      (None, 0),
    )
  )
  means = np.asarray(embed(params, x).mean)
  return means.var(0, ddof=1) > THRESHOLD
