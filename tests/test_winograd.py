"""Convolutions in fewer products are those of the library."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from benchmarks import flops
from gen1shot.nn import winograd

CHANNELS = 64


def both(x, features=CHANNELS, **settings):
  """Parameters of a layer; ours and the library's, as functions of them."""
  make = functools.partial(nn.Conv, features, (3, 3), **settings)
  layers = make(conv_general_dilated=winograd.convolve), make()
  params = layers[0].init(jax.random.key(1), x)
  return params, [layer.apply for layer in layers]


def cost(function, *args):
  """Of a function that is traced anew."""
  return flops.of_function(lambda *args: function(*args), *args)


@pytest.mark.parametrize('strides', [1, 2])
@pytest.mark.parametrize('padding', ['SAME', 'VALID'])
@pytest.mark.parametrize('sides', [(4, 4), (8, 12), (7, 14), (5, 6), (3, 9)])
def test_values_and_gradients_are_those_of_the_library(sides, padding, strides):
  """Of tiles that fill the image, and that do not; in episodes."""
  x = jax.random.normal(jax.random.key(0), (2, 3, *sides, CHANNELS))
  params, applies = both(x[0], CHANNELS + 1, padding=padding, strides=strides)

  @functools.partial(jax.value_and_grad, argnums=(1, 2), has_aux=True)
  def loss(apply, params, x):
    y = jax.vmap(apply, (None, 0))(params, x)
    return (y**3).mean(), y

  ((_, y), grads), ((_, other), others) = (
    loss(apply, params, x) for apply in applies
  )
  chex.assert_trees_all_close(y, other, atol=1e-4)
  for grad, expected in zip(
    *map(jax.tree.leaves, (grads, others)), strict=True
  ):
    np.testing.assert_allclose(
      grad, expected, atol=1e-4 * float(jnp.abs(expected).max())
    )


@pytest.mark.parametrize(
  ('strides', 'side', 'ratio'), [(1, 18, 36 / 144), (2, 17, 25 / 36)]
)
def test_products_are_fewer(strides, side, ratio):
  """Of tiles that fill the image."""
  x = jnp.ones((2, side, side, CHANNELS))
  params, (ours, library) = both(x, padding='VALID', strides=strides)
  assert cost(ours, params, x) == ratio * cost(library, params, x)


@pytest.mark.parametrize(
  'settings',
  [
    {'strides': 3},
    {'strides': (1, 2)},
    {'features': CHANNELS - 1},
    {'dtype': jnp.bfloat16},
    {'padding': 1},
    {'padding': 'SAME_LOWER'},
  ],
  ids=str,
)
def test_others_are_left_to_the_library(settings):
  x = jnp.ones((2, 16, 16, CHANNELS))
  params, (ours, library) = both(x, **settings)
  assert cost(ours, params, x) == cost(library, params, x)


def test_accelerators_convolve_by_their_library(monkeypatch):
  x = jnp.ones((2, 16, 16, CHANNELS))
  params, (ours, library) = both(x)
  assert cost(ours, params, x) < cost(library, params, x)
  monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
  assert cost(ours, params, x) == cost(library, params, x)


def test_gradients_of_devices_add_up():
  x = jax.random.normal(jax.random.key(0), (2, 3, 6, 5, CHANNELS))
  params, (ours, _) = both(x[0])
  gradient = jax.grad(lambda params, x: (ours(params, x) ** 3).sum())
  spread = jax.pmap(
    lambda x: jax.lax.psum(gradient(params, x), 'devices'), 'devices'
  )(x)
  expected = gradient(params, x.reshape(6, 6, 5, CHANNELS))
  largest = jax.tree.map(lambda leaf: 1e-4 * jnp.abs(leaf).max(), expected)
  assert jax.tree.all(
    jax.tree.map(
      lambda found, leaf, most: (jnp.abs(found[0] - leaf) < most).all(),
      spread,
      expected,
      largest,
    )
  )
