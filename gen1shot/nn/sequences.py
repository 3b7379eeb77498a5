"""Words that count, in counts and in recurrent states.

Shapes: T words of a document, V of the vocabulary. A mask is boolean [T], True
where a word counts; None means that all do.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

State = Any


def counted(x: jax.Array, mask: jax.Array | None) -> jax.Array:
  """Values [..., T] with 0 where a word does not count."""
  return x if mask is None else jnp.where(mask, x, 0.0)


def prefix_counts(x: jax.Array, V: int, mask: jax.Array | None) -> jax.Array:
  """How often each word was seen up to and with t: words [T] -> [T, V]."""
  once = jax.nn.one_hot(x, V)
  if mask is not None:
    once *= mask[:, None]
  return jnp.cumsum(once, axis=0)


def states(
  cell: nn.Module,
  state: State,
  inputs: jax.Array,
  mask: jax.Array | None,
  emit: Callable[[State, jax.Array], Any],
) -> tuple[State, Any]:
  """Runs a recurrent cell over T inputs, by `lax.scan`.

  A word that does not count leaves the state as it was.

  Args:
    cell: of Flax, called with the state and an input.
    state: leaves [..., H], before the first input.
    inputs: [T, ..., F]; leading axes broadcast with those of the state.
    mask: boolean [T] or None.
    emit: (state, t) -> what is kept of the state after t inputs.

  Returns:
    The state after all inputs, and what was kept before each one: [T, ...].
  """
  lead = jax.tree.leaves(state)[0].shape[:-1]

  def step(cell, state, xs):
    t, x, counts = xs
    kept = emit(state, t)
    x = jnp.broadcast_to(x, (*lead, x.shape[-1]))
    new, _ = cell(state, x)
    state = jax.tree.map(lambda a, b: jnp.where(counts, a, b), new, state)
    return state, kept

  T = len(inputs)
  mask = jnp.ones(T, bool) if mask is None else mask
  scan = nn.scan(
    step, variable_broadcast='params', split_rngs={'params': False}
  )
  return scan(cell, state, (jnp.arange(T), inputs, mask))
