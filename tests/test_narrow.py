"""Convolutions made faster are those of the library."""

import functools

import chex
import jax
import pytest
from flax import linen as nn

from benchmarks import flops
from gen1shot import compilation, parallel
from gen1shot.nn import narrow


def both(x, features, size, strides=1, padding='SAME'):
  """Parameters of a layer; ours and the library's, as functions of them."""
  make = functools.partial(nn.Conv, features, size, strides, padding)
  layers = make(conv_general_dilated=narrow.convolve), make()
  params = layers[0].init(jax.random.key(1), x)
  return params, [layer.apply for layer in layers]


@pytest.fixture(autouse=True)
def one_core(monkeypatch):
  """For each device."""
  monkeypatch.setattr(parallel, 'a_core_each', lambda: True)


CASES = {
  'sixteen': ((9, 7, 16), 16, (3, 3), 1, 'SAME'),
  'narrower': ((9, 7, 4), 3, (3, 3), 1, 'SAME'),
  'strided': ((9, 7, 16), 14, (3, 2), 2, 'VALID'),
  'wide': ((9, 7, 16), 17, (3, 3), 1, 'SAME'),
  'halved by 4': ((10, 8, 3), 5, (4, 4), 2, 'VALID'),
  'halved by 4 and 2': ((10, 8, 3), 5, (4, 2), 2, 'VALID'),
  'halved with a border': ((10, 8, 3), 5, (4, 4), 2, 'SAME'),
  'halved along rows': ((10, 8, 3), 5, (4, 4), (2, 1), 'VALID'),
  'halved, odd': ((10, 7, 3), 5, (4, 4), 2, 'VALID'),
}


@pytest.mark.parametrize('case', CASES.values(), ids=CASES)
def test_values_and_gradients_are_those_of_the_library(case):
  shape, *layer = case
  x = jax.random.normal(jax.random.key(0), (2, *shape))
  params, applies = both(x, *layer)

  def loss(apply, params, x):
    y = jax.vmap(apply, (None, 0))(params, x[None])  # as episodes are
    return (y**3).mean(), y

  found = [
    jax.value_and_grad(functools.partial(loss, apply), (0, 1), has_aux=True)(
      params, x
    )
    for apply in applies
  ]
  chex.assert_trees_all_close(*found, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
  ('inputs', 'outputs', 'widened'), [(16, 16, 20), (16, 17, 16), (4, 8, 4)]
)
def test_only_few_channels_get_zeros_beside_them(inputs, outputs, widened):
  x = jax.random.normal(jax.random.key(0), (2, 5, 5, inputs))
  params, applies = both(x, outputs, (3, 3))
  ours, library = (flops.of_function(f, params, x) for f in applies)
  assert ours * inputs == library * widened


@pytest.mark.parametrize('jit', [jax.jit, compilation.jit])
def test_the_fast_library_takes_what_was_too_few_channels(jit):
  """In training steps and in evaluations."""
  x = jax.random.normal(jax.random.key(0), (64, 13, 13, 16))
  params, applies = both(x, 16, (3, 3))
  ours, library = (jit(f).lower(params, x).compile().as_text() for f in applies)
  assert 'ynn' in ours
  assert 'ynn' not in library


def test_several_cores_of_one_device_have_it_as_it_is(monkeypatch):
  monkeypatch.setattr(parallel, 'a_core_each', lambda: False)
  x = jax.random.normal(jax.random.key(0), (2, 5, 5, 16))
  params, applies = both(x, 16, (3, 3))
  ours, library = (flops.of_function(f, params, x) for f in applies)
  assert ours == library


def test_a_device_of_several_cores_is_known(monkeypatch):
  monkeypatch.undo()
  devices = jax.local_device_count()
  for cores, expected in ((1, True), (devices, True), (devices + 1, False)):
    monkeypatch.setattr(parallel, '_cores', lambda cores=cores: cores)
    assert parallel.a_core_each() == expected
