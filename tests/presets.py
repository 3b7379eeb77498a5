"""Every preset of the zoo, on images of one shape."""

import jax
import jax.numpy as jnp
from questions import streams

from gen1shot import zoo

SHAPE = (28, 28, 1)
T = 3  # objects

PRESETS = [
  (name, preset) for name, entry in zoo.ZOO.items() for preset in entry.presets
]


def init(module):
  rngs = streams(jax.random.key(0))
  return module.init(rngs, jnp.zeros((T, *SHAPE)), method='bound')
