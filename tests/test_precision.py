"""bfloat16 products: the same training, up to their rounding."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from test_models import TINY
from test_parallel import documents, image_classes, optimiser_means

from experiments.configs import get_config
from gen1shot import precision, training, zoo
from gen1shot.data.episodes import blank_objects
from gen1shot.nn.recurrent import LSTM
from gen1shot.nn.residual import TransposedConv


def step_of(name, preset, dataset, kind):
  known = zoo.module_fields(name, preset)
  fields = {k: v for k, v in TINY.items() if k in known}
  if known.get('nets') == 'residual':
    del fields['features']
  config = dataclasses.replace(
    get_config(name, preset),
    fields=fields,
    batch_size=4,
    episode_length=3,
    kl_warmup=0,
    warmup_steps=0,
    clip_norm=1e9,
    precision=kind,
  )
  module = zoo.build(name, preset, dataset.object_shape, **fields)
  example = blank_objects(dataset.kind, dataset.object_shape, 3)
  key = jax.random.key(0)
  state = training.init_state(module, config, example, key)
  return training.make_train_step(module, config), (state, dataset, key)


@pytest.mark.parametrize(
  ('name', 'preset'),
  [
    *((name, 'small') for name in zoo.ZOO if name != 'unigram'),
    ('gmn', 'conv'),
  ],
)
def test_gradients_are_those_of_float32_up_to_rounding(name, preset):
  """All parameters and what is kept of them stay float32."""
  dataset = documents() if name in zoo.of_kind('words') else image_classes()
  found = []
  for kind in ('float32', 'bfloat16'):
    step, args = step_of(name, preset, dataset, kind)
    found.append(jax.jit(step)(*args))
  (exact, _), (rounded, metrics) = found
  for leaf in jax.tree.leaves((rounded.params, rounded.averaged, metrics)):
    assert leaf.dtype == jnp.float32
  pairs = list(
    zip(optimiser_means(rounded), optimiser_means(exact), strict=True)
  )
  whole = sum(float((b**2).sum()) for _, b in pairs) ** 0.5
  apart = [float(jnp.linalg.norm(a - b)) for a, b in pairs]
  # No leaf is far off; a bias that is summed in bfloat16 would be.
  assert max(apart) < 0.03 * whole
  assert max(apart) > 0


def lowered(module, variables, *args):
  with precision.computing_in('bfloat16'):
    return module.apply(variables, *args)


def test_products_take_bfloat16_and_sums_do_not():
  """A bias of 1001 rows: bfloat16 has 1000 and 1008, and nothing between."""
  layer = nn.Dense(1)
  x = jnp.ones((1001, 4))
  variables = layer.init(jax.random.key(0), x)

  def total(variables):
    return lowered(layer, variables, x).sum()

  gradient = jax.jit(jax.grad(total))(variables)['params']
  assert float(gradient['bias'][0]) == 1001
  assert gradient['kernel'].dtype == jnp.float32
  text = jax.jit(total).lower(variables).as_text()
  assert 'tensor<1001x4xbf16>' in text
  outside = jax.jit(lambda variables: layer.apply(variables, x).sum())
  assert 'bf16' not in outside.lower(variables).as_text()
  np.testing.assert_allclose(total(variables), outside(variables), rtol=1e-2)


@pytest.mark.parametrize(
  'layer',
  [
    nn.Dense(3, use_bias=False),
    nn.Conv(3, (3, 3), use_bias=False),
    TransposedConv(3, 2),
  ],
  ids=lambda layer: type(layer).__name__,
)
def test_layers_round_their_operands_and_give_float32(layer):
  x = jax.random.normal(jax.random.key(1), (2, 5, 5, 4))
  variables = layer.init(jax.random.key(0), x)
  exact, found = layer.apply(variables, x), lowered(layer, variables, x)
  assert found.dtype == jnp.float32
  assert 0 < abs(found - exact).max() < 0.05 * abs(exact).max()


def test_an_lstm_keeps_its_memory_in_float32():
  """What is added to a memory of 1000 would be lost in bfloat16."""
  cell = LSTM(2)
  x = jnp.ones((1, 3))
  carry = (jnp.full((1, 2), 1000.0), jnp.zeros((1, 2)))
  variables = cell.init(jax.random.key(0), carry, x)
  exact = cell.apply(variables, carry, x)
  found = lowered(cell, variables, carry, x)
  for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(exact), strict=True):
    assert a.dtype == jnp.float32
    np.testing.assert_allclose(a, b, rtol=5e-3)
  odd = (carry[0] + 0.625, carry[1])
  rest = lowered(cell, variables, odd, x)[0][0] - found[0][0]
  forget = exact[0][0] / 1000
  np.testing.assert_allclose(rest, 0.625 * forget, rtol=0.05)


def test_gradients_of_a_loop_are_added_up_in_float32():
  """300 equal steps; a sum in bfloat16 would stand still at 256."""

  class Loop(nn.Module):
    @nn.compact
    def __call__(self, x):
      def step(layer, total, x):
        return total + layer(x).sum(), None

      scan = nn.scan(
        step, variable_broadcast='params', split_rngs={'params': False}
      )
      total, _ = scan(nn.Dense(1, use_bias=False), jnp.float32(0), x)
      return total

  x = jnp.ones((300, 1, 1))
  variables = Loop().init(jax.random.key(0), x)
  gradient = jax.grad(lambda variables: lowered(Loop(), variables, x))(
    variables
  )
  assert float(jax.tree.leaves(gradient)[0][0, 0]) == 300
