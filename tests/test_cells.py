"""Recurrent cells against those of Flax."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gen1shot.nn.recurrent import GRU, LSTM

F, H = 5, 3


def flax_lstm(ours):
  """Parameters of `nn.OptimizedLSTMCell`."""
  kernel, bias = ours['gates']['kernel'], ours['gates']['bias']
  gates = {}
  for gate, columns in zip('ifgo', np.arange(4 * H).reshape(4, H), strict=True):
    gates[f'i{gate}'] = {'kernel': kernel[:F, columns]}
    gates[f'h{gate}'] = {'kernel': kernel[F:, columns], 'bias': bias[columns]}
  return gates


def flax_gru(ours):
  """Parameters of `nn.GRUCell`."""
  gates = {}
  for gate, columns in zip('rzn', np.arange(3 * H).reshape(3, H), strict=True):
    kernel = ours['inputs']['kernel'][:, columns]
    gates[f'i{gate}'] = {'kernel': kernel, 'bias': ours['bias'][columns]}
    gates[f'h{gate}'] = {'kernel': ours['state']['kernel'][:, columns]}
  gates['hn']['bias'] = ours['bias'][3 * H :]
  return gates


CELLS = {
  'lstm': (LSTM, nn.OptimizedLSTMCell, flax_lstm),
  'gru': (GRU, nn.GRUCell, flax_gru),
}


def begun(name):
  """A cell with parameters, a state and an input, all random."""
  cell = CELLS[name][0](H)
  state, x, keys = jnp.zeros((4, H)), jnp.zeros((4, F)), jax.random.key(0)
  state = (state, state) if name == 'lstm' else state
  params = cell.init(keys, state, x)['params']
  noise = np.random.default_rng(1)
  params, state, x = jax.tree.map(
    lambda leaf: noise.standard_normal(leaf.shape, np.float32),
    (params, state, x),
  )
  return cell, params, state, x


@pytest.mark.parametrize('name', CELLS)
def test_a_cell_is_that_of_flax(name):
  cell, params, state, x = begun(name)
  _, theirs, of_flax = CELLS[name]
  found = cell.apply({'params': params}, state, x)
  expected = theirs(H).apply({'params': of_flax(params)}, state, x)
  for a, b in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('name', CELLS)
def test_a_cell_starts_with_orthogonal_maps_of_its_state(name):
  cell, params, state, x = begun(name)
  params = cell.init(jax.random.key(2), state, x)['params']
  kernel = (
    params['gates']['kernel'][F:]
    if name == 'lstm'
    else (params['state']['kernel'])
  )
  for gate in jnp.split(kernel, kernel.shape[1] // H, axis=1):
    np.testing.assert_allclose(gate @ gate.T, np.eye(H), atol=1e-5)
  assert abs(kernel[:, :H] - kernel[:, H : 2 * H]).max() > 0.1


@pytest.mark.parametrize('name', CELLS)
def test_maps_of_inputs_start_with_the_scale_of_flax(name):
  size, inputs = 64, 400
  cell, theirs = CELLS[name][0](size), CELLS[name][1](size)
  state, x = jnp.zeros(size), jnp.zeros(inputs)
  state = (state, state) if name == 'lstm' else state
  ours = cell.init(jax.random.key(0), state, x)['params']
  kernel = ours['gates' if name == 'lstm' else 'inputs']['kernel'][:inputs]
  gate = 'ii' if name == 'lstm' else 'ir'
  expected = theirs.init(jax.random.key(0), state, x)['params'][gate]['kernel']
  np.testing.assert_allclose(kernel.std(), expected.std(), rtol=0.03)


def test_a_gru_takes_an_average_of_inputs_that_were_mapped_before():
  cell, params, state, _ = begun('gru')
  noise = np.random.default_rng(3)
  values = noise.standard_normal((6, F), np.float32)
  weights = noise.dirichlet(np.ones(6), 4).astype(np.float32)
  params = {'params': params}
  mapped = weights @ cell.apply(params, values, method='mapped')
  found = cell.apply(params, state, mapped, method='take')
  expected, _ = cell.apply(params, state, weights @ values)
  np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
