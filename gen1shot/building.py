"""From a configuration to what it describes."""

import jax
from flax import linen as nn

from gen1shot import zoo
from gen1shot.config import Config
from gen1shot.data.episodes import blank_objects
from gen1shot.workdir import Data


def build(config: Config, data: Data) -> tuple[nn.Module, jax.Array]:
  """The module of a run, and an episode of its shape, [T, *shape], of zeros.

  Raises:
    InputError: no such model, preset or field.
  """
  module = zoo.build(
    config.model, config.preset, data.object_shape, **config.fields
  )
  return module, blank_objects(
    data.kind, data.object_shape, config.episode_length
  )
