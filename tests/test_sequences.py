"""Counts of words, and a recurrent cell that words run through."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gen1shot.nn import sequences

X = jnp.array([2, 0, 0, 1])
MASK = jnp.array([False, True, True, False])


@pytest.mark.parametrize(
  ('mask', 'expected'),
  [
    (None, [[0, 0, 1], [1, 0, 1], [2, 0, 1], [2, 1, 1]]),
    (MASK, [[0, 0, 0], [1, 0, 0], [2, 0, 0], [2, 0, 0]]),
  ],
)
def test_prefixes_are_counted_up_to_and_with_each_word(mask, expected):
  counts = sequences.prefix_counts(X, 3, mask)
  np.testing.assert_array_equal(counts, expected)


def test_what_does_not_count_is_zero_whatever_it_was():
  values = jnp.array([[1.0, 2.0, jnp.inf, jnp.nan]] * 2)
  mask = jnp.array([True, True, False, False])
  found = sequences.counted(values, mask)
  np.testing.assert_array_equal(found, [[1, 2, 0, 0]] * 2)
  assert sequences.counted(values, None) is values


class Sum(nn.Module):
  """Adds up twice what it reads, plus a parameter a step."""

  @nn.compact
  def __call__(self, state, x):
    step = self.param('step', nn.initializers.constant(0.5), (1,))
    return state + 2 * x + step, None


class Runner(nn.Module):
  """A module that runs it."""

  def setup(self):
    self.cell = Sum()

  def __call__(self, state, inputs, mask):
    emit = lambda state, t: (state, t)  # noqa: E731
    return sequences.states(self.cell, state, inputs, mask, emit)


@pytest.mark.parametrize(
  ('mask', 'before'),
  [(None, [1, 3.5, 8, 14.5, 23]), (MASK, [1, 1, 5.5, 12, 12])],
)
def test_states_are_kept_before_each_word_that_counts(mask, before):
  inputs = jnp.arange(1.0, 5.0)[:, None]
  answer, _ = Runner().init_with_output(
    jax.random.key(0), jnp.ones(1), inputs, mask
  )
  last, (states, places) = answer
  np.testing.assert_allclose(states[:, 0], before[:4])
  np.testing.assert_allclose(last, before[4:])
  np.testing.assert_array_equal(places, range(4))


def test_inputs_are_broadcast_to_the_states():
  inputs = jnp.arange(1.0, 5.0)[:, None, None]  # [4, 1, 1]
  answer, _ = Runner().init_with_output(
    jax.random.key(0), jnp.array([[1.0], [2.0]]), inputs, MASK
  )
  last, (states, _) = answer
  assert states.shape == (4, 2, 1)
  np.testing.assert_allclose(last, [[12.0], [13.0]])
