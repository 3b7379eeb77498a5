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
  ids='{0[0]}-{0[1]}'.format,
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


def test_products_take_bfloat16_and_sums_do_not():
  """A bias of a thousand rows: bfloat16 cannot count beyond 256."""
  layer = nn.Dense(1)
  x = jnp.ones((1000, 4))
  params = layer.init(jax.random.key(0), x)['params']

  def total(params):
    with precision.computing_in('bfloat16', params) as used:
      return layer.apply({'params': used}, x).sum()

  gradient = jax.jit(jax.grad(total))(params)
  assert float(gradient['bias'][0]) == 1000
  assert gradient['kernel'].dtype == jnp.float32
  text = jax.jit(total).lower(params).as_text()
  assert 'tensor<1000x4xbf16>' in text
  outside = jax.jit(lambda params: layer.apply({'params': params}, x).sum())
  assert 'bf16' not in outside.lower(params).as_text()
  np.testing.assert_allclose(total(params), outside(params), rtol=1e-2)
