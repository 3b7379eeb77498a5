"""Windows of attention: closed forms, adjoints, inverses and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from gen1shot.nn.attention import affine, filterbank, transformer

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


def test_affine_windows_that_do_not_turn_are_those_of_the_transformer():
  parameters = 0.4 * jax.random.normal(jax.random.key(1), (3, 4))
  patch = jax.random.normal(jax.random.key(2), (3, 4, 4, 2))
  upright = transformer(parameters, 4, 9, 7)
  turned = affine(jnp.pad(parameters, ((0, 0), (0, 2))), 4, 9, 7)
  image = jnp.broadcast_to(IMAGE, (3, *IMAGE.shape))
  for a, b in zip(upright, turned, strict=True):
    np.testing.assert_allclose(a.box, b.box, atol=1e-5)
  np.testing.assert_allclose(
    upright[0].read(image), turned[0].read(image), atol=1e-5
  )
  np.testing.assert_allclose(
    upright[1].write(patch), turned[1].write(patch), atol=1e-5
  )


def test_a_right_angle_turns_the_image_and_back():
  image = jax.random.normal(jax.random.key(0), (9, 9, 2))
  reading, writing = affine(jnp.zeros(6).at[4].set(np.pi / 2), 9, 9, 9)
  np.testing.assert_allclose(reading.read(image), jnp.rot90(image), atol=1e-5)
  np.testing.assert_allclose(
    writing.write(image), jnp.rot90(image, -1), atol=1e-5
  )


def test_an_affine_read_of_a_plane_is_the_plane():
  y, x = jnp.meshgrid(
    jnp.linspace(-1, 1, 9), jnp.linspace(-1, 1, 9), indexing='ij'
  )
  plane = (2 * x - 3 * y + 1)[..., None]
  sx, sy, tx, ty, angle, shear = 0.4, 0.3, 0.1, -0.2, 0.7, 0.5
  parameters = jnp.array([np.log(sx), np.log(sy), tx, ty, angle, shear])
  # Places half a pixel apart, so that a read does not average.
  reading, _ = affine(parameters, 9, 9, 9)
  turn = np.array(
    [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
  )
  A = turn @ np.array([[1, shear], [0, 1]]) @ np.diag([sx, sy])
  v, u = np.meshgrid(
    np.linspace(-1, 1, 9), np.linspace(-1, 1, 9), indexing='ij'
  )
  seen_x, seen_y = np.einsum('ij,jvu->ivu', A, np.stack([u, v]))
  expected = 2 * (seen_x + tx) - 3 * (seen_y + ty) + 1
  np.testing.assert_allclose(
    reading.read(plane)[..., 0], expected, rtol=1e-4, atol=1e-5
  )


def test_an_affine_read_undoes_a_write_of_a_plane():
  parameters = jnp.array([-0.5, -0.7, 0.1, -0.1, 0.4, 0.2])
  reading, writing = affine(parameters, 9, 15, 15)
  u, v = jnp.meshgrid(jnp.linspace(-1, 1, 9), jnp.linspace(-1, 1, 9))
  patch = (1 + 2 * u - v)[..., None]
  again = reading.read(writing.write(patch))
  # Not at the rim, where what is written ends.
  np.testing.assert_allclose(again[2:-2, 2:-2], patch[2:-2, 2:-2], atol=1e-4)


@pytest.mark.parametrize('kind', ['filterbank', 'transformer', 'affine'])
def test_gradients_are_those_of_differences(kind):
  count = {'filterbank': 5, 'transformer': 4, 'affine': 6}[kind]
  parameters = 0.3 * jax.random.normal(jax.random.key(5), (count,))
  patch = jax.random.normal(jax.random.key(2), (4, 4, 2))

  def both(parameters):
    if kind == 'filterbank':
      reading = writing = filterbank(parameters, 4, 9, 7)
    else:
      windows = {'transformer': transformer, 'affine': affine}[kind]
      reading, writing = windows(parameters, 4, 9, 7)
    return reading.read(IMAGE).sum(), (writing.write(patch) ** 2).mean()

  with jax.enable_x64(True):
    check_grads(
      both, (parameters.astype(jnp.float64),), order=1, atol=1e-4, rtol=1e-4
    )
