"""Windows of attention: closed forms, adjoints, inverses and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from gen1shot.nn.attention import filterbank, transformer

IMAGE = jax.random.normal(jax.random.key(0), (9, 7, 2))


def test_filterbank_rows_sum_to_one_even_outside():
  parameters = jnp.array([[0.2, -0.4, 0.5, -1.0, 0.3], [9.0, -9.0, -3, 1, 0]])
  window = filterbank(parameters, 4, 9, 7)
  assert window.rows.shape == (2, 4, 9)
  assert window.columns.shape == (2, 4, 7)
  np.testing.assert_allclose(window.rows.sum(-1), 1.0, rtol=1e-5)
  np.testing.assert_allclose(window.columns.sum(-1), 1.0, rtol=1e-5)


def test_filterbank_looks_where_it_is_told():
  # A side of 28, N = 3, small filters two pixels apart around the middle + 5.
  middle = 2 * 5 / 29
  log_stride = np.log(2 / (27 / 2))
  parameters = jnp.array([middle, -middle, -1.0, log_stride, 0.0])
  window = filterbank(parameters, 3, 28, 28)
  pixels = jnp.arange(28)
  np.testing.assert_allclose(
    window.columns @ pixels, 13.5 + 5 + np.array([-2, 0, 2]), atol=1e-3
  )
  np.testing.assert_allclose(
    window.rows @ pixels, 13.5 - 5 + np.array([-2, 0, 2]), atol=1e-3
  )


def test_filterbank_of_zeros_spans_the_image():
  window = filterbank(jnp.array([0.0, 0, -6, 0, 0]), 5, 9, 9)
  np.testing.assert_allclose(
    window.rows @ jnp.arange(9), [0, 2, 4, 6, 8], atol=1e-3
  )


def test_filterbank_writes_by_the_adjoint_of_its_read():
  parameters = jax.random.normal(jax.random.key(1), (5,))
  window = filterbank(parameters, 4, 9, 7)
  patch = jax.random.normal(jax.random.key(2), (4, 4, 2))
  gain = jnp.exp(parameters[-1])
  np.testing.assert_allclose(
    (window.read(IMAGE) * patch).sum() / gain,
    (IMAGE * window.write(patch)).sum() * gain,
    rtol=1e-4,
  )


def test_identity_transformer_copies():
  image = jax.random.normal(jax.random.key(0), (9, 9, 2))
  reading, writing = transformer(jnp.zeros(4), 9, 9, 9)
  np.testing.assert_allclose(reading.read(image), image, atol=1e-5)
  np.testing.assert_allclose(writing.write(image), image, atol=1e-5)


def test_translation_moves_by_whole_pixels():
  image = jax.random.normal(jax.random.key(0), (9, 9, 1))
  # One pixel is 2 / 8; two to the right, one up.
  parameters = jnp.array([0.0, 0.0, 2 * 2 / 8, -2 / 8])
  reading, writing = transformer(parameters, 9, 9, 9)
  expected = np.zeros((9, 9, 1))
  expected[1:, :7] = image[:8, 2:]
  np.testing.assert_allclose(reading.read(image), expected, atol=1e-5)
  expected = np.zeros((9, 9, 1))
  expected[:8, 2:] = image[1:, :7]
  np.testing.assert_allclose(writing.write(image), expected, atol=1e-5)


def test_a_read_of_a_plane_is_the_plane():
  y, x = jnp.meshgrid(
    jnp.linspace(-1, 1, 9), jnp.linspace(-1, 1, 7), indexing='ij'
  )
  plane = (2 * x - 3 * y + 1)[..., None]
  sx, sy, tx, ty = 0.5, 0.3, 0.25, -0.4
  parameters = jnp.array([np.log(sx), np.log(sy), tx, ty])
  reading, _ = transformer(parameters, 5, 9, 7)
  u = np.linspace(-1, 1, 5)
  expected = 2 * (sx * u + tx)[None, :] - 3 * (sy * u + ty)[:, None] + 1
  np.testing.assert_allclose(
    reading.read(plane)[..., 0], expected, rtol=1e-4, atol=1e-5
  )


@pytest.mark.parametrize('shift', [0.0, 0.25, -0.5])
def test_a_read_undoes_a_write(shift):
  # Patch pixels fall on image pixels: 5 of spacing 1/4 among 9 of 1/4.
  parameters = jnp.array([np.log(0.5), np.log(0.5), shift, -shift])
  reading, writing = transformer(parameters, 5, 9, 9)
  patch = jax.random.normal(jax.random.key(2), (5, 5, 3))
  np.testing.assert_allclose(
    reading.read(writing.write(patch)), patch, atol=1e-5
  )


def test_boxes_are_where_the_window_is():
  parameters = jnp.array([np.log(0.5), np.log(0.25), 0.5, 0.0])
  for window in transformer(parameters, 5, 9, 9):
    np.testing.assert_allclose(window.box, [3, 5, 4, 8], atol=1e-5)
  zeros = filterbank(jnp.zeros(5), 3, 9, 7)
  # The stride follows the longer side.
  np.testing.assert_allclose(zeros.box, [0, 8, -1, 7], atol=1e-5)


def test_a_coarse_read_averages_what_lies_between():
  # Places two pixels apart: weights 1/4, 1/2, 1/4 around each.
  line = jax.random.normal(jax.random.key(0), (9,))
  image = jnp.broadcast_to(line[None, :, None], (9, 9, 1))
  reading, _ = transformer(jnp.zeros(4), 5, 9, 9)
  expected = [
    line[i - 1] / 4 + line[i] / 2 + line[i + 1] / 4 for i in (2, 4, 6)
  ]
  np.testing.assert_allclose(
    reading.read(image)[2, 1:4, 0], expected, rtol=1e-4, atol=1e-6
  )


@pytest.mark.parametrize('kind', ['filterbank', 'transformer'])
def test_gradients_are_those_of_differences(kind):
  count = {'filterbank': 5, 'transformer': 4}[kind]
  parameters = 0.3 * jax.random.normal(jax.random.key(5), (count,))
  patch = jax.random.normal(jax.random.key(2), (4, 4, 2))

  def both(parameters):
    if kind == 'filterbank':
      reading = writing = filterbank(parameters, 4, 9, 7)
    else:
      reading, writing = transformer(parameters, 4, 9, 7)
    return reading.read(IMAGE).sum(), (writing.write(patch) ** 2).mean()

  with jax.enable_x64(True):
    check_grads(
      both, (parameters.astype(jnp.float64),), order=1, atol=1e-4, rtol=1e-4
    )
