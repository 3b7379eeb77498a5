"""What is known of a set: means and maxima of its objects, and matching.

Shapes: T objects, F features, M objects in a memory, D the match space. A mask
is boolean [T], True where an object counts; None means that all do. `starts` is
boolean [T], True where a set begins, if several sets lie one after another;
None stands for one set. The first object always begins one.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct

from gen1shot.errors import InputError, check_choice
from gen1shot.nn.dense import unit
from gen1shot.nn.recurrent import GRU
from gen1shot.nn.rows import Dense

MATCHING = ('cosine', 'dot', 'average')


def blank(x: jax.Array, mask: jax.Array | None) -> jax.Array:
  """Objects [T, ...] with 0 for those that do not count.

  Not a product: a masked NaN must not spread.
  """
  if mask is None:
    return x
  return jnp.where(mask.reshape(-1, *[1] * (x.ndim - 1)), x, 0.0)


def masked_mean(
  features: jax.Array,
  mask: jax.Array | None = None,
  axis_name: str | None = None,
) -> tuple[jax.Array, jax.Array]:
  """Mean over the objects of a set: ([F], count []); an empty set gives 0.

  Of a set that is spread over the devices of an axis, if one is named.
  """
  weights = jnp.ones(len(features)) if mask is None else mask.astype(float)
  sums = blank(features, mask).sum(0), weights.sum()
  total, count = sums if axis_name is None else jax.lax.psum(sums, axis_name)
  return total / jnp.maximum(count, 1.0), count


def gathered(x: jax.Array, axis_name: str | None) -> jax.Array:
  """What the devices of an axis hold of a set: [T / n, ...] -> [T, ...]."""
  if axis_name is None:
    return x
  return jax.lax.all_gather(x, axis_name, tiled=True)


def masked_max(
  features: jax.Array,
  mask: jax.Array | None = None,
  axis_name: str | None = None,
) -> jax.Array:
  """Largest of each feature over the objects of a set: [F]; 0 of an empty set.

  Of a set that is spread over the devices of an axis, if one is named.
  """
  present = jnp.ones(len(features), bool) if mask is None else mask
  # Gathered, as the maximum over devices has no gradient.
  features, present = (gathered(x, axis_name) for x in (features, present))
  largest = jnp.where(present[:, None], features, -jnp.inf).max(
    0, initial=-jnp.inf
  )
  return jnp.where(present.any(), largest, 0.0)


def same_set(T: int, starts: jax.Array | None) -> jax.Array:
  """Which pairs of objects belong to one set: boolean [T, T]."""
  if starts is None:
    return jnp.ones((T, T), bool)
  number = jnp.cumsum(jnp.asarray(starts).at[0].set(True))
  return number[:, None] == number[None, :]


def prefix_means(
  features: jax.Array, starts: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
  """Means over x_<=t for every t, in one pass.

  Args:
    features: [T, F].
    starts: boolean [T] or None.

  Returns:
    Means [T, F] and counts float32 [T]: of the objects of t's own set up to
    and with t.
  """
  # One product with a triangle of ones: row t sums the objects up to t.
  upto = jnp.tril(same_set(len(features), starts)).astype(features.dtype)
  counts = upto.sum(1)
  return (upto @ features) / counts[:, None], counts


def prefix_maxima(
  features: jax.Array, starts: jax.Array | None = None
) -> jax.Array:
  """Largest of each feature over x_<=t for every t, in one pass.

  Args:
    features: [T, F].
    starts: boolean [T] or None.

  Returns:
    [T, F]: of the objects of t's own set up to and with t.
  """
  if starts is None:
    starts = jnp.zeros(len(features), bool)

  def further(left, right):
    (begins, largest), (begins_again, new) = left, right
    both = jnp.where(begins_again, new, jnp.maximum(largest, new))
    return begins | begins_again, both

  return jax.lax.associative_scan(further, (starts[:, None], features))[1]


@struct.dataclass
class Memory:
  """Objects that can be matched."""

  values: jax.Array  # [M, F]
  keys: jax.Array  # [M, D]


class Question(nn.Module):
  """What a state asks about something, a linear map of both.

  Called with what is asked about [..., F], it gives the function of states
  [..., size] -> [..., D]: what all of them have in common is mapped once.
  """

  features: int  # D

  def setup(self) -> None:
    self.about = Dense(self.features)
    self.state = Dense(self.features, use_bias=False)

  def __call__(self, about: jax.Array) -> Callable[[jax.Array], jax.Array]:
    given = self.about(about)
    return lambda state: given + self.state(state)


class Matching(nn.Module):
  """Reads a memory by attention, in several passes of a recurrent controller.

  Bartunov & Vetrov 2016, section 4.1, the full context embedding: in each pass
  the state asks, the answer is an average of values, and a GRU takes it in.

  `kind` is the similarity of question and key, cosine or dot product, scaled by
  a temperature that the state sets; or average, for equal weights.
  """

  size: int  # of the state, and D
  passes: int
  kind: str = 'cosine'

  @nn.compact
  def __call__(
    self,
    memory: Memory,
    visible: jax.Array,
    ask: Callable[[], Callable[[jax.Array], jax.Array]],
  ) -> tuple[jax.Array, jax.Array]:
    """Answers [..., F] and states [..., size] after the last pass.

    Args:
      memory: of M objects.
      visible: boolean [..., M]; where it is all False the answer is 0.
      ask: gives the function of states [..., size] -> questions [..., D];
        not called where `kind` is average.
    """
    check_choice('matching', self.kind, MATCHING)
    if self.passes < 1:
      raise InputError(f'passes must be >= 1; got {self.passes}')
    controller = GRU(self.size, name='controller')
    temperature = Dense(1, name='temperature')
    state = self.param('start', nn.initializers.normal(0.1), (self.size,))
    # Of M objects, once, instead of the answers to all questions of all passes.
    mapped = controller.mapped(memory.values)
    question = None if self.kind == 'average' else ask()

    def weigh(state: jax.Array) -> jax.Array:
      if question is None:
        return _masked_softmax(jnp.zeros(()), visible)
      scores = self._similarity(question(state), memory.keys)
      return _masked_softmax(scores * nn.softplus(temperature(state)), visible)

    weights = weigh(state)
    for _ in range(self.passes - 1):
      state = controller.take(state, weights @ mapped)
      weights = weigh(state)
    answer = weights @ memory.values
    return answer, controller.take(state, weights @ mapped)

  def _similarity(self, question: jax.Array, keys: jax.Array) -> jax.Array:
    if self.kind == 'cosine':
      question, keys = unit(question), unit(keys)
    return question @ keys.T


def _masked_softmax(scores: jax.Array, visible: jax.Array) -> jax.Array:
  """Softmax over the visible; zeros where nothing is."""
  scores = jnp.where(visible, scores, -jnp.inf)
  highest = scores.max(-1, keepdims=True, initial=-jnp.inf)
  exps = jnp.exp(scores - jnp.where(jnp.isfinite(highest), highest, 0.0))
  return exps / jnp.maximum(exps.sum(-1, keepdims=True), 1e-30)
