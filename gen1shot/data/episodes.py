"""The distribution p(D) over episodes, sampled on the device.

An object is an image [H, W, C], a vector [D], or a word, which is given by its
number among V. Shapes: B episodes, T objects in an episode; N classes of a data
set, E exemplars of its largest class.
"""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from gen1shot.data import augment
from gen1shot.errors import InputError


class Dataset(Protocol):
  """Classes of objects that can be drawn from inside a compiled function.

  `kind`, `num_classes`, `smallest_class` (exemplars in the smallest class) and
  `object_shape` are Python values, known when a function is traced. The kinds:
  images, of shape (H, W, C); vectors, of shape (D,); words, of shape (V,): a
  class is a document, its exemplars are its words in order.
  """

  kind: ClassVar[str]

  @property
  def num_classes(self) -> int: ...

  @property
  def smallest_class(self) -> int: ...

  @property
  def object_shape(self) -> tuple[int, ...]: ...

  def class_size(self, class_id: jax.Array) -> jax.Array:
    """How many exemplars a class has: int32, the shape of `class_id`."""
    ...

  def exemplar(self, class_id: jax.Array, number: jax.Array) -> jax.Array:
    """One exemplar of one class (both int32 scalars).

    float32 of the object's shape; a word is an int32 scalar.
    """
    ...


@struct.dataclass
class ImageClasses:
  """A data set that lies on the device as uint8 images of 0 and 1."""

  images: jax.Array  # uint8 [N, E, H, W, C], short classes padded with zeros
  sizes: jax.Array  # int32 [N]
  smallest_class: int = struct.field(pytree_node=False)
  kind: ClassVar[str] = 'images'

  @classmethod
  def stack(cls, classes: Sequence[np.ndarray]) -> 'ImageClasses':
    """Pads uint8 arrays [n_i, H, W, C], one a class, to one array.

    Raises:
      InputError: no class, one without images, of another type or shape.
    """
    if not classes:
      raise InputError('a data set must have a class; got none')
    for images in classes:
      if (
        images.dtype != np.uint8
        or images.ndim != 4
        or not images.size
        or images.shape[1:] != classes[0].shape[1:]
      ):
        raise InputError(
          'a class must be images of one shape, uint8 [n, H, W, C], n >= 1; '
          f'got {images.dtype} {list(images.shape)}'
        )
    sizes = np.array([len(images) for images in classes], np.int32)
    images = np.zeros((len(classes), sizes.max(), *classes[0].shape[1:]), 'u1')
    for row, members in zip(images, classes, strict=True):
      row[: len(members)] = members
    return cls(jnp.asarray(images), jnp.asarray(sizes), int(sizes.min()))

  @property
  def num_classes(self) -> int:
    return self.images.shape[0]

  @property
  def object_shape(self) -> tuple[int, ...]:
    return self.images.shape[2:]

  def class_size(self, class_id: jax.Array) -> jax.Array:
    return self.sizes[class_id]

  def exemplar(self, class_id: jax.Array, number: jax.Array) -> jax.Array:
    return self.images[class_id, number].astype(jnp.float32)


_AUGMENTATIONS = ('dihedral', 'dilation', 'shift', 'affine')


@dataclasses.dataclass(frozen=True)
class EpisodeSpec:
  """What an episode is; every figure is quoted with these fields."""

  batch_size: int  # B
  length: int  # T
  max_classes: int = 1  # C: each episode mixes 1..C classes, C itself uniform
  replacement: bool = False  # may an exemplar occur twice in an episode?
  dihedral: bool = False  # the 8 rotations and reflections are new classes
  dilation: bool = False  # half of the images drawn with a pen 1 pixel wider
  shift: bool = False  # each image moved by up to 2 pixels
  affine: bool = False  # small random affine change of each image

  def check(self, dataset: Dataset, sets: int = 1) -> None:
    """Raises InputError when `dataset` cannot provide such episodes.

    `sets` of an episode, one after another, have classes of their own.
    """
    for field in ('batch_size', 'length', 'max_classes'):
      if getattr(self, field) < 1:
        raise InputError(f'{field} must be >= 1; got {getattr(self, field)}')
    if dataset.kind == 'words':
      self._check_passages(sets)
      return
    if dataset.kind != 'images':
      self._check_none(_AUGMENTATIONS, f'for images; got {dataset.kind}')
    if not self.replacement and self.length > dataset.smallest_class:
      raise InputError(
        'without replacement an episode cannot be longer than the smallest '
        f'class, {dataset.smallest_class} exemplars; got length {self.length}'
      )
    if sets * self.max_classes > self._num_classes(dataset):
      each = '' if sets == 1 else f' in each of {sets} sets'
      raise InputError(
        f'max_classes{each} must be <= {self._num_classes(dataset)}, the '
        f'classes of the data set; got {self.max_classes}'
      )
    if self.dihedral and dataset.object_shape[0] != dataset.object_shape[1]:
      height, width, _ = dataset.object_shape
      raise InputError(
        f'dihedral needs square images; got height {height}, width {width}'
      )

  def _check_passages(self, sets: int) -> None:
    """Raises InputError unless episodes are passages of one document."""
    why = 'not for words: an episode is a passage of one document'
    self._check_none((*_AUGMENTATIONS, 'replacement'), why)
    if self.max_classes > 1 or sets > 1:
      raise InputError(
        f'more classes or sets than 1 are {why}; got {self.max_classes} classes'
        f', {sets} sets'
      )

  def _check_none(self, fields: Sequence[str], why: str) -> None:
    for field in fields:
      if getattr(self, field):
        raise InputError(f'{field} is {why}')

  def _num_classes(self, dataset: Dataset) -> int:
    return dataset.num_classes * (augment.NUM_VIEWS if self.dihedral else 1)


@struct.dataclass
class Episodes:
  """A batch of episodes."""

  objects: jax.Array  # float32 [B, T, *shape]; of words int32 [B, T]
  labels: jax.Array  # int32 [B, T], the class; a view is a class of its own
  starts: jax.Array  # bool [B, T], True where a set begins
  # bool [B, T], False behind the end of a document; None: all objects count.
  mask: jax.Array | None = None


def sample_distinct(key: jax.Array, n: jax.Array | int, k: int) -> jax.Array:
  """Draws k distinct integers of [0, n) in random order, int32 [k].

  Floyd's algorithm: O(k^2) work and O(k) memory whatever n, which may be a
  traced value; n < k is the caller's error.
  """
  pick_key, order_key = jax.random.split(key)
  lasts = n - k + jnp.arange(k)
  picks = jax.vmap(
    lambda i, last: jax.random.randint(
      jax.random.fold_in(pick_key, i), (), 0, last + 1
    )
  )(jnp.arange(k), lasts)

  def insert(i: jax.Array, chosen: jax.Array) -> jax.Array:
    taken = (chosen == picks[i]).any()
    return chosen.at[i].set(jnp.where(taken, lasts[i], picks[i]))

  chosen = jax.lax.fori_loop(0, k, insert, jnp.full(k, -1, jnp.int32))
  return jax.random.permutation(order_key, chosen)


def sample_episodes(
  key: jax.Array, dataset: Dataset, spec: EpisodeSpec
) -> Episodes:
  """Draws a batch of episodes; pure, to be called inside jit.

  The key is consumed.

  Raises:
    InputError: the data set cannot provide such episodes.
  """
  keys = jax.random.split(key, spec.batch_size)
  return jax.vmap(lambda key: sample_episode(key, dataset, spec))(keys)


def sample_episode(
  key: jax.Array,
  dataset: Dataset,
  spec: EpisodeSpec,
  set_length: jax.Array | None = None,
  max_classes: jax.Array | None = None,
) -> Episodes:
  """Draws one episode: the leaves of `Episodes` without their B axis.

  The protocol is that of Bartunov & Vetrov 2016, section 5: the number of
  classes is uniform on 1..C, each object's class uniform among them. The key
  is consumed.

  Args:
    key: consumed.
    dataset: what is drawn from.
    spec: the episode.
    set_length: int32 [], may be traced. The episode is then a row of sets of
      so many objects, the last one cut short, and no two share a class. None
      for one set of all objects.
    max_classes: int32 [], may be traced, at most `spec.max_classes`, which None
      stands for.

  Raises:
    InputError: the data set cannot provide such episodes.
  """
  T, C = spec.length, spec.max_classes
  sets = 1 if set_length is None else T  # at most
  spec.check(dataset, sets)
  if dataset.kind == 'words':
    return _sample_passage(key, dataset, T)
  count_key, class_key, member_key, exemplar_key, image_key = jax.random.split(
    key, 5
  )
  place = jnp.arange(T)
  which = place // (T if set_length is None else set_length)
  most = C if max_classes is None else max_classes
  num_classes = jax.random.randint(count_key, (sets,), 1, most + 1)
  classes = sample_distinct(class_key, spec._num_classes(dataset), sets * C)
  member = C * which + jax.random.randint(
    member_key, (T,), 0, num_classes[which]
  )
  labels = classes[member]
  class_ids, views = augment.split_view(labels, spec.dihedral)
  sizes = dataset.class_size(class_ids)
  if spec.replacement:
    exemplars = jax.random.randint(exemplar_key, (T,), 0, sizes)
  else:
    # Each class has its own shuffled exemplars; an object takes the next one
    # of its class.
    own_size = dataset.class_size(augment.split_view(classes, spec.dihedral)[0])
    shuffled = jax.vmap(lambda key, size: sample_distinct(key, size, T))(
      jax.random.split(exemplar_key, sets * C), own_size
    )
    same = member[:, None] == member[None, :]
    nth = jnp.tril(same, -1).sum(1)
    exemplars = shuffled[member, nth]

  def draw(key, class_id, view, number):
    drawn = dataset.exemplar(class_id, number)
    if dataset.kind != 'images':
      return drawn
    return augment.augment(
      key, drawn, view, spec.dilation, spec.shift, spec.affine
    )

  image_keys = jax.random.split(image_key, T)
  objects = jax.vmap(draw)(image_keys, class_ids, views, exemplars)
  return Episodes(objects, labels, jnp.diff(which, prepend=-1) > 0)


def blank_objects(kind: str, shape: tuple[int, ...], T: int) -> jax.Array:
  """T objects that are all 0, of the type of a kind and a shape."""
  return jnp.zeros(T, jnp.int32) if kind == 'words' else jnp.zeros((T, *shape))


def _sample_passage(key: jax.Array, dataset: Dataset, T: int) -> Episodes:
  """T words in order, from a random place of a random document.

  All of a document that has no more than T, and a mask.
  """
  document_key, place_key = jax.random.split(key)
  document = jax.random.randint(document_key, (), 0, dataset.num_classes)
  size = dataset.class_size(document)
  first = jax.random.randint(place_key, (), 0, jnp.maximum(size - T, 0) + 1)
  words, mask = passage(dataset, document, first, T)
  return Episodes(words, jnp.full(T, document), jnp.arange(T) == 0, mask)


def passage(
  dataset: Dataset, document: jax.Array, first: jax.Array, T: int
) -> tuple[jax.Array, jax.Array]:
  """T words of a document from number `first` on: (int32 [T], which count)."""
  numbers = first + jnp.arange(T)
  words = jax.vmap(dataset.exemplar, (None, 0))(document, numbers)
  return words, numbers < dataset.class_size(document)


@struct.dataclass
class Tasks:
  """A batch of few-shot classification tasks."""

  support: jax.Array  # float32 [B, ways, shots, *shape]
  queries: jax.Array  # float32 [B, ways, *shape]; query i is of class i


def sample_tasks(
  key: jax.Array, dataset: Dataset, batch_size: int, ways: int, shots: int
) -> Tasks:
  """Draws `ways` distinct classes a task, `shots` + 1 distinct exemplars each.

  Pure, to be called inside jit; the key is consumed.

  Raises:
    InputError: the data set has too few classes, or too small ones.
  """
  EpisodeSpec(batch_size, shots + 1, max_classes=ways).check(dataset)

  def sample_task(key):
    class_key, exemplar_key = jax.random.split(key)
    classes = sample_distinct(class_key, dataset.num_classes, ways)

    def sample_class(key, class_id):
      size = dataset.class_size(class_id)
      exemplars = sample_distinct(key, size, shots + 1)
      return jax.vmap(lambda e: dataset.exemplar(class_id, e))(exemplars)

    images = jax.vmap(sample_class)(
      jax.random.split(exemplar_key, ways), classes
    )
    return Tasks(images[:, :-1], images[:, -1])

  return jax.vmap(sample_task)(jax.random.split(key, batch_size))
