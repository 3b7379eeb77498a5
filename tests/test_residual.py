"""Residual convolutions: transposed ones, dynamic ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen1shot.nn import residual


@pytest.mark.parametrize('kernel', [2, 3, 4])
def test_transposed_convolution_is_that_of_the_library(kernel):
  x = jax.random.normal(jax.random.key(0), (2, 5, 6, 3))
  module = residual.TransposedConv(4, kernel)
  blocks, params = module.init_with_output(jax.random.key(1), x)
  y = residual.interleave(blocks, kernel)
  # The library correlates with the kernel as it is, we with its mirror image.
  expected = jax.lax.conv_transpose(
    x,
    params['params']['kernel'][::-1, ::-1],
    (2, 2),
    'VALID',
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )
  np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


def test_dynamic_factors_are_filters_of_each_image():
  noise = np.random.default_rng(0)
  x = jnp.asarray(noise.standard_normal((2, 4, 4, 3), np.float32))
  factors = jnp.asarray(noise.standard_normal((2, 5), np.float32))

  class Layer(residual.nn.Module):
    @residual.nn.compact
    def __call__(self, x, factors):
      return residual._filtered(x, factors)

  params = Layer().init(jax.random.key(0), x, factors)['params']
  dense = params['Dense_0']
  dense['kernel'] = jnp.asarray(
    noise.standard_normal(dense['kernel'].shape, np.float32)
  )
  y = Layer().apply({'params': params}, x, factors)
  for own_x, own_factors, own_y in zip(x, factors, y, strict=True):
    a, b = np.split(
      np.asarray(1 + own_factors @ dense['kernel'] + dense['bias']), 2
    )
    kernel = params['Conv_0']['kernel'] * a[:, None] * b
    expected = jax.lax.conv_general_dilated(
      own_x[None],
      kernel,
      (1, 1),
      'SAME',
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )[0]
    expected += b * params['Conv_0']['bias']
    np.testing.assert_allclose(own_y, expected, rtol=1e-3, atol=1e-4)
