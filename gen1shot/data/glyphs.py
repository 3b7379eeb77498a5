"""Procedural handwriting: an endless supply of characters from a key.

A class is a random program of strokes (cubic Bezier curves); an exemplar is
that program with jittered control points, a small affine change and its own
pen width. No files, no network; drawn on the device inside the step.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

MAX_STROKES = 4
EXEMPLARS = 20  # of each class, as many as Omniglot has drawers
CLASSES = 2**24  # of each part
SIZE = 28  # pixels
_POINTS = 32  # along each stroke
_SEED = 0


@struct.dataclass
class Glyphs:
  """Classes `first` .. `first + CLASSES - 1` of the endless alphabet."""

  first: int = struct.field(pytree_node=False)
  kind: ClassVar[str] = 'images'

  @property
  def num_classes(self) -> int:
    return CLASSES

  @property
  def smallest_class(self) -> int:
    return EXEMPLARS

  @property
  def object_shape(self) -> tuple[int, ...]:
    return (SIZE, SIZE, 1)

  def class_size(self, class_id: jax.Array) -> jax.Array:
    return jnp.full_like(class_id, EXEMPLARS)

  def exemplar(self, class_id: jax.Array, number: jax.Array) -> jax.Array:
    key = jax.random.fold_in(jax.random.key(_SEED), self.first + class_id)
    strokes, drawn = sample_program(key)
    return draw_exemplar(jax.random.fold_in(key, number), strokes, drawn)


def load() -> dict[str, Glyphs]:
  """The parts of the alphabet; disjoint ranges of class numbers."""
  return {
    part: Glyphs(first=i * CLASSES)
    for i, part in enumerate(('train', 'valid', 'test'))
  }


def sample_program(key: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Draws a character: control points and which strokes there are.

  Returns:
    Control points [MAX_STROKES, 4, 2] in the unit square (row, column), and a
    boolean [MAX_STROKES]: one to four strokes are drawn. A later stroke starts
    on the end or the middle of the one before it, or anywhere, with equal odds.
  """
  count_key, start_key, turn_key, length_key, join_key = jax.random.split(
    key, 5
  )
  count = 1 + jax.random.categorical(
    count_key, jnp.log(jnp.array([0.05, 0.25, 0.4, 0.3]))
  )
  starts = jax.random.uniform(
    start_key, (MAX_STROKES, 2), minval=0.15, maxval=0.85
  )
  # Each stroke walks three steps; a heading, then two bends of any sign.
  heading = jax.random.uniform(turn_key, (MAX_STROKES, 1), maxval=2 * jnp.pi)
  bends = jax.random.normal(jax.random.fold_in(turn_key, 1), (MAX_STROKES, 2))
  angles = heading + jnp.cumsum(jnp.pad(bends, ((0, 0), (1, 0))), axis=1)
  length = jax.random.uniform(
    length_key, (MAX_STROKES, 1, 1), minval=0.1, maxval=0.3
  )
  steps = length * jnp.stack([jnp.sin(angles), jnp.cos(angles)], axis=-1)
  joins = jax.random.randint(join_key, (MAX_STROKES,), 0, 3)
  walk = jnp.pad(jnp.cumsum(steps, axis=1), ((0, 0), (1, 0), (0, 0)))
  strokes = [starts[0] + walk[0]]
  for i in range(1, MAX_STROKES):
    before = strokes[-1]
    start = jnp.stack([starts[i], before[3], _bezier(before, jnp.array(0.5))])
    strokes.append(start[joins[i]] + walk[i])
  points = jnp.stack(strokes)
  drawn = jnp.arange(MAX_STROKES) < count
  # Centre the drawn strokes on the page and let them fill most of it.
  low = jnp.where(drawn[:, None, None], points, jnp.inf).min((0, 1))
  high = jnp.where(drawn[:, None, None], points, -jnp.inf).max((0, 1))
  points = 0.5 + 0.75 * (points - (low + high) / 2) / (high - low).max()
  return points, drawn


def draw_exemplar(
  key: jax.Array, strokes: jax.Array, drawn: jax.Array
) -> jax.Array:
  """Draws a program once, by a new hand: float32 [SIZE, SIZE, 1] in {0, 1}.

  Args:
    key: consumed.
    strokes: control points [MAX_STROKES, 4, 2] in the unit square.
    drawn: boolean [MAX_STROKES].
  """
  jitter_key, affine_key, shift_key, pen_key = jax.random.split(key, 4)
  strokes += 0.02 * jax.random.normal(jitter_key, strokes.shape)
  matrix = jnp.eye(2) + 0.08 * jax.random.normal(affine_key, (2, 2))
  shift = 0.025 * jax.random.normal(shift_key, (2,))
  strokes = (strokes - 0.5) @ matrix.T + 0.5 + shift
  pen = jax.random.uniform(pen_key, (), minval=0.6, maxval=0.9)
  return render(strokes, drawn, pen)[..., None]


def render(strokes: jax.Array, drawn: jax.Array, pen: jax.Array) -> jax.Array:
  """Ink of strokes under a round pen of radius about `pen` pixels.

  The ink at a pixel is the line integral along the strokes of a Gaussian of
  width `pen`, thresholded. The Gaussian separates into rows and columns, so
  the integral over all points is one matrix product.

  Args:
    strokes: control points [S, 4, 2] in the unit square.
    drawn: boolean [S]; the others leave no ink.
    pen: standard deviation of the Gaussian in pixels, [].

  Returns:
    float32 [SIZE, SIZE] in {0, 1}.
  """
  times = jnp.linspace(0, 1, _POINTS)
  curve = jax.vmap(lambda s: jax.vmap(lambda t: _bezier(s, t))(times))(strokes)
  curve = SIZE * curve - 0.5  # pixel centres are the integers, [S, P, 2]
  pieces = jnp.linalg.norm(jnp.diff(curve, axis=1), axis=-1)
  middles = (curve[:, 1:] + curve[:, :-1]) / 2
  weight = pieces * drawn[:, None] / (pen * jnp.sqrt(2 * jnp.pi))
  offsets = jnp.arange(SIZE) - middles.reshape(-1, 2).T[..., None]
  rows, columns = jnp.exp(-0.5 * (offsets / pen) ** 2)  # [S P, SIZE] each
  ink = (rows * weight.reshape(-1, 1)).T @ columns
  # exp(-1/2): on a straight stroke, the level one standard deviation away.
  return (ink > jnp.exp(-0.5)).astype(jnp.float32)


def _bezier(points: jax.Array, t: jax.Array) -> jax.Array:
  """The cubic Bezier curve of control points [4, 2] at time t: [2]."""
  s = 1 - t
  return jnp.stack([s**3, 3 * s**2 * t, 3 * s * t**2, t**3]) @ points
