"""A data set of words: a class is a document, its exemplars are its words."""

from collections.abc import Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from gen1shot.errors import InputError


@struct.dataclass
class Documents:
  """N documents of V words that lie on the device one after another.

  A document may be empty. What lies behind the end of a document is some word
  or other: `episodes.sample_episodes` masks it.
  """

  words: jax.Array  # int32 [total], at least one, in [0, V)
  offsets: jax.Array  # int32 [N], where a document begins
  sizes: jax.Array  # int32 [N]
  vocabulary_size: int = struct.field(pytree_node=False)  # V
  smallest_class: int = struct.field(pytree_node=False)
  kind: ClassVar[str] = 'words'

  @classmethod
  def stack(
    cls, documents: Sequence[np.ndarray], vocabulary_size: int
  ) -> 'Documents':
    """Joins documents, integers [n_i] in [0, V) each.

    Raises:
      InputError: no document, one of another type or shape, other numbers.
    """
    if not documents:
      raise InputError('a data set must have a document; got none')
    for document in documents:
      if document.ndim != 1 or document.dtype.kind not in 'iu':
        raise InputError(
          f'a document must be integers [n]; got {document.dtype} '
          f'{list(document.shape)}'
        )
      if document.size and not (
        document.min() >= 0 and document.max() < vocabulary_size
      ):
        raise InputError(
          f'words must be in [0, {vocabulary_size}); got {document.min()} to '
          f'{document.max()}'
        )
    sizes = np.array([len(document) for document in documents], np.int32)
    # An array without elements could not be read at all.
    words = np.zeros(max(sizes.sum(), 1), np.int32)
    words[: sizes.sum()] = np.concatenate(documents)
    return cls(
      jnp.asarray(words),
      jnp.asarray(np.cumsum(sizes, dtype=np.int32) - sizes),
      jnp.asarray(sizes),
      vocabulary_size,
      int(sizes.min()),
    )

  @property
  def num_classes(self) -> int:
    return len(self.sizes)

  @property
  def object_shape(self) -> tuple[int, ...]:
    return (self.vocabulary_size,)

  def class_size(self, class_id: jax.Array) -> jax.Array:
    return self.sizes[class_id]

  def exemplar(self, class_id: jax.Array, number: jax.Array) -> jax.Array:
    return self.words.at[self.offsets[class_id] + number].get(mode='clip')
