"""Matching: attention on what is visible of a memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen1shot.nn.sets import Matching, Memory


def memory_of(count):
  noise = np.random.default_rng(1)
  return Memory(
    jnp.asarray(noise.standard_normal((count, 3), np.float32)),
    jnp.asarray(noise.standard_normal((count, 4), np.float32)),
  )


def match(kind, memory, visible, question):
  module = Matching(4, 1, kind)

  def ask(state):
    return jnp.broadcast_to(question, state.shape)

  answer, params = module.init_with_output(
    jax.random.key(0), memory, visible, lambda: ask
  )
  if kind == 'average':  # asks for no temperature
    return answer[0], None
  temperature = params['params']['temperature']
  state = params['params']['start'] @ temperature['kernel'][:, 0]
  return answer[0], jax.nn.softplus(state + temperature['bias'][0])


@pytest.mark.parametrize('kind', ['cosine', 'dot'])
def test_one_pass_is_softmax_attention(kind):
  memory, question = memory_of(5), jnp.array([0.3, -1.0, 0.5, 2.0])
  visible = np.array([True, True, False, True, True])
  answer, temperature = match(kind, memory, visible, question)
  keys, values = np.asarray(memory.keys), np.asarray(memory.values)
  similarity = keys @ question
  if kind == 'cosine':
    similarity /= np.linalg.norm(keys, axis=1) * np.linalg.norm(question)
  weights = np.exp(np.asarray(temperature * similarity)) * visible
  np.testing.assert_allclose(
    answer, weights @ values / weights.sum(), rtol=1e-4, atol=1e-5
  )


def test_average_is_the_mean_of_the_visible():
  memory = memory_of(5)
  visible = np.array([True, False, False, True, True])
  answer, _ = match('average', memory, visible, jnp.ones(4))
  np.testing.assert_allclose(
    answer, memory.values[visible].mean(0), rtol=1e-5, atol=1e-6
  )


@pytest.mark.parametrize('kind', ['cosine', 'dot', 'average'])
def test_nothing_visible_is_zero_with_finite_gradients(kind):
  memory = memory_of(3)

  def loss(memory):
    answer, _ = match(kind, memory, np.zeros(3, bool), jnp.ones(4))
    return answer.sum()

  value, gradient = jax.value_and_grad(loss)(memory)
  assert value == 0.0
  for leaf in jax.tree.leaves(gradient):
    np.testing.assert_array_equal(leaf, 0.0)
