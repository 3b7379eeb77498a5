"""Convolutions of few channels are those of the library."""

import functools

import jax
import numpy as np
import pytest
from flax import linen as nn

from benchmarks import flops
from gen1shot.nn import narrow


def both(ours, x, features, size, strides=1, padding='SAME'):
  """Two layers of the same parameters: ours, and the library's."""
  make = functools.partial(nn.Conv, features, size, strides, padding)
  params = make().init(jax.random.key(1), x)
  layers = make(conv_general_dilated=ours), make()
  return params, [layer.apply for layer in layers]


def close(got, expected):
  for a, b in zip(*map(jax.tree.leaves, (got, expected)), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


CASES = {
  'sixteen': (narrow.convolve, (9, 7, 16), 16, (3, 3), 1, 'SAME'),
  'narrower': (narrow.convolve, (9, 7, 4), 3, (3, 3), 1, 'SAME'),
  'strided': (narrow.convolve, (9, 7, 16), 8, (3, 2), 2, 'VALID'),
  'wide': (narrow.convolve, (9, 7, 16), 17, (3, 3), 1, 'SAME'),
  'halved by 4': (narrow.halve, (10, 8, 3), 5, (4, 4), 2, 'VALID'),
  'halved by 2': (narrow.halve, (10, 8, 3), 5, (2, 2), 2, 'VALID'),
}


@pytest.mark.parametrize('case', CASES.values(), ids=CASES)
def test_values_and_gradients_are_those_of_the_library(case):
  ours, shape, *layer = case
  x = jax.random.normal(jax.random.key(0), (2, *shape))
  params, applies = both(ours, x, *layer)

  def loss(apply, params, x):
    y = jax.vmap(apply, (None, 0))(params, x[None])  # as episodes are
    return (y**3).mean(), y

  got, expected = (
    jax.value_and_grad(functools.partial(loss, f), (0, 1), has_aux=True)
    for f in applies
  )
  close(got(params, x), expected(params, x))


@pytest.mark.parametrize(
  ('inputs', 'outputs', 'widened'), [(16, 16, 20), (16, 17, 16), (12, 16, 20)]
)
def test_only_few_channels_get_zeros_beside_them(inputs, outputs, widened):
  x = jax.random.normal(jax.random.key(0), (2, 5, 5, inputs))
  params, applies = both(narrow.convolve, x, outputs, (3, 3))
  ours, library = (flops.of_function(f, params, x) for f in applies)
  assert ours * inputs == library * widened
