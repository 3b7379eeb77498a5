"""Curricula: what episodes are like, as pure functions of the training step."""

import jax
import jax.numpy as jnp

from gen1shot.config import Config


def set_length(config: Config, step: jax.Array | None) -> jax.Array | None:
  """How many objects a set has at a step: int32 [], 1 at first, T at last.

  T - 1 stages of equal length make up `length_warmup` steps. None where sets
  have all T objects: without a warm-up, or a step.
  """
  if step is None or not config.length_warmup:
    return None
  T = config.episode_length
  return jnp.minimum(1 + (T - 1) * step // config.length_warmup, T)
