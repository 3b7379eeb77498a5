"""Digits of MNIST as clouds of points.

Edwards & Storkey 2016. A class is one image; its exemplars are
points (x, y) that are uniform over the ink, drawn on the device from a key. x
goes right and y up, 0 is the middle of the page, and 5 pixels are one unit: the
page is a square of sides 5.6, the points of all digits have about unit scale.
"""

from collections.abc import Mapping
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from gen1shot.errors import InputError

EXEMPLARS = 2**24  # points of each image
PIXELS_PER_UNIT = 5
_SEED = 0


@struct.dataclass
class Clouds:
  """Where the ink of binary images is."""

  ink: jax.Array  # uint16 [N, P] inked pixels, row by row, padded with zeros
  counts: jax.Array  # int32 [N], how many there are
  digits: jax.Array  # int32 [N], which digit an image is
  width: int = struct.field(pytree_node=False)  # of a square image, in pixels
  kind: ClassVar[str] = 'vectors'

  @classmethod
  def of_images(cls, digits: Mapping[str, np.ndarray]) -> 'Clouds':
    """From digit -> uint8 [n, S, S, 1] of 0 and 1.

    Raises:
      InputError: an image without ink.
    """
    images = np.concatenate([images[..., 0] for images in digits.values()])
    inked = images.reshape(len(images), -1) > 0
    counts = inked.sum(1)
    if not counts.all():
      raise InputError('points need images with ink; got a blank one')
    _, pixels = inked.nonzero()
    ink = np.zeros((len(images), counts.max()), np.uint16)
    ink[np.arange(counts.max()) < counts[:, None]] = pixels
    labels = [int(digit) for digit in digits]
    sizes = [len(images) for images in digits.values()]
    return cls(
      jnp.asarray(ink),
      jnp.asarray(counts, jnp.int32),
      jnp.asarray(np.repeat(labels, sizes), jnp.int32),
      images.shape[-1],
    )

  @property
  def num_classes(self) -> int:
    return self.ink.shape[0]

  @property
  def smallest_class(self) -> int:
    return EXEMPLARS

  @property
  def object_shape(self) -> tuple[int, ...]:
    return (2,)

  def class_size(self, class_id: jax.Array) -> jax.Array:
    return jnp.full_like(class_id, EXEMPLARS)

  def exemplar(self, class_id: jax.Array, number: jax.Array) -> jax.Array:
    key = jax.random.fold_in(jax.random.key(_SEED), class_id)
    pixel_key, place_key = jax.random.split(jax.random.fold_in(key, number))
    which = jax.random.randint(pixel_key, (), 0, self.counts[class_id])
    row, column = jnp.divmod(
      self.ink[class_id, which].astype(jnp.int32), self.width
    )
    # Anywhere in the pixel.
    across, down = jnp.stack([column, row]) + jax.random.uniform(
      place_key, (2,)
    )
    middle = self.width / 2
    return jnp.stack([across - middle, middle - down]) / PIXELS_PER_UNIT
