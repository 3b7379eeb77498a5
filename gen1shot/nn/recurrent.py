"""Recurrent cells whose gates are one product.

They start as the cells of Flax do: with an orthogonal map of the state to each
gate, and `lecun_normal` maps of the input. Shapes: F features of an input, H of
a state; any leading axes that broadcast.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from gen1shot.nn.dense import join
from gen1shot.nn.rows import Dense

LSTMState = tuple[jax.Array, jax.Array]  # memory and output, [..., H] both


class LSTM(nn.Module):
  """Long short-term memory (Hochreiter & Schmidhuber 1997)."""

  features: int  # H

  @nn.compact
  def __call__(
    self, state: LSTMState, x: jax.Array
  ) -> tuple[LSTMState, jax.Array]:
    """The next state, and its output [..., H], given x [..., F]."""
    memory, output = state
    gates = Dense(4 * self.features, kernel_init=_of_both, name='gates')
    i, f, g, o = jnp.split(gates(join(x, output)), 4, axis=-1)
    memory = nn.sigmoid(f) * memory + nn.sigmoid(i) * nn.tanh(g)
    output = nn.sigmoid(o) * nn.tanh(memory)
    return (memory, output), output


class GRU(nn.Module):
  """The gated recurrent unit (Cho et al. 2014), reset after the product.

  What an input adds to the gates is linear in it, so averages of inputs may be
  mapped before they are averaged: fewer inputs, once for all steps.
  """

  features: int  # H

  def setup(self) -> None:
    H = self.features
    self.inputs = Dense(3 * H, use_bias=False)
    self.state = Dense(3 * H, use_bias=False, kernel_init=_of_state)
    # Of all gates, and of what the new state reads of the old one.
    self.bias = self.param('bias', nn.initializers.zeros, (4 * H,))

  def __call__(
    self, state: jax.Array, x: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    """The next state [..., H], twice, given x [..., F]."""
    state = self.take(state, self.mapped(x))
    return state, state

  def mapped(self, x: jax.Array) -> jax.Array:
    """What inputs add to the gates: [..., F] -> [..., 3 H], linear."""
    return self.inputs(x)

  def take(self, state: jax.Array, mapped: jax.Array) -> jax.Array:
    """The next state, given what an input adds to the gates."""
    *biases, of_old = jnp.split(self.bias, 4)
    reset, keep, new = jnp.split(mapped + jnp.concatenate(biases), 3, axis=-1)
    of_reset, of_keep, old = jnp.split(self.state(state), 3, axis=-1)
    keep = nn.sigmoid(keep + of_keep)
    new = nn.tanh(new + nn.sigmoid(reset + of_reset) * (old + of_old))
    return keep * state + (1 - keep) * new


def _of_state(key: jax.Array, shape: tuple[int, int], dtype) -> jax.Array:
  """Orthogonal maps of a state to each of its gates, [H, gates H]."""
  H, columns = shape
  orthogonal = nn.initializers.orthogonal()
  keys = jax.random.split(key, columns // H)
  return jnp.hstack([orthogonal(key, (H, H), dtype) for key in keys])


def _of_both(key: jax.Array, shape: tuple[int, int], dtype) -> jax.Array:
  """Maps of an input and of a state to four gates, [F + H, 4 H]."""
  rows, columns = shape
  H = columns // 4
  of_input, of_state = jax.random.split(key)
  return jnp.vstack(
    [
      nn.initializers.lecun_normal()(of_input, (rows - H, columns), dtype),
      _of_state(of_state, (H, columns), dtype),
    ]
  )
