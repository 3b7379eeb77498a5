"""Sets of reals: an endless supply of one-dimensional distributions.

Edwards & Storkey 2016. A class is a distribution: one of four
families, a mean of U[-1, 1] and a variance of U[0.5, 2]. Its exemplars are
independent draws, made on the device from a key.
"""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

FAMILIES = ('gaussian', 'exponential', 'laplace', 'uniform')
MEANS = (-1.0, 1.0)
VARIANCES = (0.5, 2.0)
EXEMPLARS = 2**24  # of each class
CLASSES = 2**24  # of each part
_SEED = 0


@struct.dataclass
class Law:
  """What distribution a class is; the leaves have any shape."""

  family: jax.Array  # int32, a place in FAMILIES
  mean: jax.Array
  variance: jax.Array


@struct.dataclass
class Reals:
  """Classes `first` .. `first + CLASSES - 1` of the endless supply."""

  first: int = struct.field(pytree_node=False)
  kind: ClassVar[str] = 'vectors'

  @property
  def num_classes(self) -> int:
    return CLASSES

  @property
  def smallest_class(self) -> int:
    return EXEMPLARS

  @property
  def object_shape(self) -> tuple[int, ...]:
    return (1,)

  def class_size(self, class_id: jax.Array) -> jax.Array:
    return jnp.full_like(class_id, EXEMPLARS)

  def exemplar(self, class_id: jax.Array, number: jax.Array) -> jax.Array:
    law_key, draw_key = jax.random.split(self._key(class_id))
    return sample(jax.random.fold_in(draw_key, number), sample_law(law_key))

  def law(self, class_id: jax.Array) -> Law:
    """What distribution a class is; `class_id` is an int32 scalar."""
    law_key, _ = jax.random.split(self._key(class_id))
    return sample_law(law_key)

  def _key(self, class_id: jax.Array) -> jax.Array:
    return jax.random.fold_in(jax.random.key(_SEED), self.first + class_id)


def load() -> dict[str, Reals]:
  """The parts of the supply; disjoint ranges of class numbers."""
  return {
    part: Reals(first=i * CLASSES)
    for i, part in enumerate(('train', 'valid', 'test'))
  }


def sample_law(key: jax.Array) -> Law:
  """Draws a distribution; the key is consumed."""
  family_key, mean_key, variance_key = jax.random.split(key, 3)
  return Law(
    jax.random.randint(family_key, (), 0, len(FAMILIES)),
    jax.random.uniform(mean_key, (), minval=MEANS[0], maxval=MEANS[1]),
    jax.random.uniform(
      variance_key, (), minval=VARIANCES[0], maxval=VARIANCES[1]
    ),
  )


def sample(key: jax.Array, law: Law) -> jax.Array:
  """One draw of a distribution: float32 [1]. The key is consumed."""
  # Of each family with mean 0 and variance 1; one of them is used.
  standard = jnp.stack(
    [
      jax.random.normal(key),
      jax.random.exponential(key) - 1,
      jax.random.laplace(key) / math.sqrt(2),
      math.sqrt(12) * (jax.random.uniform(key) - 0.5),
    ]
  )
  return (law.mean + jnp.sqrt(law.variance) * standard[law.family])[None]
