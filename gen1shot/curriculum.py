"""Curricula: what episodes are like, as pure functions of the training step."""

import jax
import jax.numpy as jnp
from flax import struct

from gen1shot.config import Config


@struct.dataclass
class Stage:
  """What an episode is like at a step; None stands for the last stage."""

  set_length: jax.Array | None = None  # int32 [], objects of a set, 1..T
  max_classes: jax.Array | None = None  # int32 [], 1..C


def stage(config: Config, step: jax.Array | None) -> Stage:
  """The stage of a step, a traced value; without a step the last one.

  `length_warmup` steps are T - 1 stages of equal length, `classes_warmup` steps
  C - 1.
  """
  if step is None:
    return Stage()
  return Stage(
    _rising(step, config.episode_length, config.length_warmup),
    _rising(step, config.max_classes, config.classes_warmup),
  )


def _rising(step: jax.Array, last: int, warmup: int) -> jax.Array | None:
  """From 1 to `last` over so many steps."""
  if not warmup:
    return None
  return jnp.minimum(1 + (last - 1) * step // warmup, last)
