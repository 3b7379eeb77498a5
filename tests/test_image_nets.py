"""Pieces of the nets on images: doubling, patches."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from gen1shot.nn.conv import _double
from gen1shot.nn.mixer import from_patches, to_patches


class Double(nn.Module):
  @nn.compact
  def __call__(self, x):
    return _double(x, 5)


def test_double_is_a_transposed_convolution(key):
  x = jax.random.normal(key, (2, 4, 3, 6))
  y, params = Double().init_with_output(key, x)
  (kernel,) = jax.tree.leaves(params)  # [in, 2 * 2 * out]
  taps = kernel.reshape(6, 2, 2, 5).transpose(1, 2, 0, 3)
  expected = jax.lax.conv_transpose(
    x,
    taps[::-1, ::-1],  # JAX correlates, and does not flip
    strides=(2, 2),
    padding='VALID',
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )
  assert y.shape == (2, 8, 6, 5)
  np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


def test_patches_are_squares_of_the_image():
  image = jnp.arange(14 * 21 * 2.0).reshape(14, 21, 2)
  patches = to_patches(image)
  assert patches.shape == (6, 98)
  np.testing.assert_array_equal(patches[4].reshape(7, 7, 2), image[7:14, 7:14])


def test_from_patches_undoes_to_patches(key):
  x = jax.random.normal(key, (2, 3, 14, 21, 2))
  np.testing.assert_array_equal(from_patches(to_patches(x), 2, 3), x)
