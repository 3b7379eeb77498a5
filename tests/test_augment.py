"""Views of an image, wider pens, shifts and affine changes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from odds import P_VALUE, SIGMAS

from gen1shot.data import augment, glyphs


@pytest.fixture(scope='module')
def drawing():
  """A binary drawing [28, 28, 1] that is away from the edges."""
  return jax.jit(glyphs.load()['train'].exemplar)(3, 0)


def test_views_are_the_dihedral_group():
  image = np.arange(9.0, dtype=np.float32).reshape(3, 3, 1)
  views = {
    np.asarray(augment.dihedral_view(jnp.asarray(image), v)).tobytes()
    for v in range(8)
  }
  group = {
    np.rot90(base, turns).tobytes()
    for base in (image, image[::-1])
    for turns in range(4)
  }
  assert views == group
  assert len(group) == 8


def test_view_zero_is_the_image_itself():
  image = jnp.arange(9.0).reshape(3, 3, 1)
  np.testing.assert_array_equal(augment.dihedral_view(image, 0), image)


def test_dilate_widens_a_point_to_the_right_and_below():
  point = np.zeros((5, 6, 1), np.float32)
  point[1, 2] = 1
  expected = point.copy()
  expected[1:3, 2:4] = 1
  np.testing.assert_array_equal(augment.dilate(jnp.asarray(point)), expected)


def test_dilate_keeps_to_the_page():
  full = jnp.ones((4, 4, 1))
  np.testing.assert_array_equal(augment.dilate(full), full)


def test_dilation_widens_half_of_the_images(drawing):
  keys = jax.random.split(jax.random.key(0), 1000)
  drawn = jax.jit(
    jax.vmap(lambda key: augment.augment(key, drawing, 0, True, False, False))
  )(keys)
  wide = (drawn == augment.dilate(drawing)).all((1, 2, 3))
  same = (drawn == drawing).all((1, 2, 3))
  assert (wide ^ same).all()
  assert abs(wide.mean() - 0.5) < SIGMAS * 0.5 / len(keys) ** 0.5


def test_a_shift_is_uniform_over_two_pixels_each_way():
  point = jnp.zeros((7, 7, 1)).at[3, 3].set(1)
  keys = jax.random.split(jax.random.key(0), 5000)
  shift = jax.jit(
    jax.vmap(lambda key: augment.augment(key, point, 0, False, True, False))
  )
  counts = np.asarray(shift(keys).sum(0))[..., 0]
  assert counts.sum() == counts[1:6, 1:6].sum() == 5000
  assert scipy.stats.chisquare(counts[1:6, 1:6].ravel()).pvalue > P_VALUE


def test_a_shift_moves_blank_pixels_in():
  keys = jax.random.split(jax.random.key(0), 200)
  moved = jax.vmap(augment.random_shift, (0, None))(keys, jnp.ones((6, 6, 1)))
  # What is left of the page is whole rows times whole columns.
  area = np.asarray(moved.any((2, 3)).sum(1) * moved.any((1, 3)).sum(1))
  np.testing.assert_array_equal(moved.sum((1, 2, 3)), area)
  assert set(area) == {a * b for a in (4, 5, 6) for b in (4, 5, 6)}


@pytest.fixture(scope='module')
def moved(drawing):
  keys = jax.random.split(jax.random.key(0), 300)
  return jax.jit(
    jax.vmap(lambda key: augment.augment(key, drawing, 0, False, False, True))
  )(keys)


def test_affine_leaves_the_image_binary(moved):
  assert set(np.unique(moved)) == {0.0, 1.0}


def test_affine_moves_the_ink_a_little_and_in_every_direction(drawing, moved):
  def centre(image):
    where = jnp.argwhere(image[..., 0] > 0, size=28 * 28, fill_value=-1)
    ink = (where[:, :1] >= 0).astype(jnp.float32)
    return (where * ink).sum(0) / ink.sum()

  shifts = jax.vmap(centre)(moved) - centre(drawing)
  # One pixel of shift; turning and scaling about the page's centre add to it.
  assert (abs(shifts.mean(0)) < 0.4).all()
  assert (shifts.std(0) > 0.8).all()
  assert (shifts.std(0) < 1.6).all()
  assert len({image.tobytes() for image in np.asarray(moved)}) == len(moved)


def test_affine_loses_little_ink(drawing, moved):
  share = moved.sum((1, 2, 3)) / drawing.sum()
  assert 0.7 < share.mean() < 1.1
