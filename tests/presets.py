"""Every preset of the zoo, and the objects that it models."""

import jax
from questions import streams

from gen1shot import zoo
from gen1shot.data.episodes import blank_objects

SHAPE = (28, 28, 1)  # of the objects of most presets
SHAPES = {('statistician', 'reals'): (1,), ('statistician', 'points'): (2,)}
V = 7  # words
T = 3  # objects


def of_kind(kind):
  return [
    (name, preset)
    for name in zoo.of_kind(kind)
    for preset in zoo.ZOO[name].presets
  ]


PRESETS = of_kind('images')  # of which some are for vectors
WORD_PRESETS = of_kind('words')


def shape(name, preset):
  if (name, preset) in WORD_PRESETS:
    return (V,)
  return SHAPES.get((name, preset), SHAPE)


def init(module):
  words = type(module) in [zoo.ZOO[name].module for name, _ in WORD_PRESETS]
  objects = blank_objects(
    'words' if words else 'images', module.observation_shape, T
  )
  rngs = streams(jax.random.key(0))
  return module.init(rngs, objects, method='bound')
