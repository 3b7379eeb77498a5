"""Digits as clouds of points: on the ink, everywhere on it, disjoint parts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from odds import P_VALUE
from toy_sources import PARTS, refused

from gen1shot.data import sources
from gen1shot.data.points import PIXELS_PER_UNIT, Clouds
from gen1shot.errors import InputError

POINTS = 2000


@pytest.fixture(scope='module')
def digits():
  """Two images of a 3, three of a 7, of different amounts of ink."""
  rng = np.random.default_rng(0)
  return {
    digit: (rng.random((count, 28, 28, 1)) < rng.random((count, 1, 1, 1))) * 1
    for digit, count in (('3', 2), ('7', 3))
  }


@pytest.fixture(scope='module')
def clouds(digits):
  """(the data set, points [5, POINTS, 2] of all its classes)."""
  data = Clouds.of_images({k: np.uint8(v) for k, v in digits.items()})
  row = jax.vmap(data.exemplar, (None, 0))
  draw = jax.jit(jax.vmap(row, (0, None)))
  return data, np.asarray(draw(jnp.arange(5), jnp.arange(POINTS)))


def on_the_page(points):
  """Row and column of points [N, 2], in pixels from the top left corner."""
  x, y = PIXELS_PER_UNIT * points.astype(float).T
  return 14 - y, 14 + x


def test_points_lie_on_the_ink_and_all_over_it(clouds, digits):
  images = np.concatenate(list(digits.values()))[..., 0]
  for points, image in zip(clouds[1], images, strict=True):
    edges = np.arange(29)
    counts = np.histogram2d(*on_the_page(points), (edges, edges))[0]
    assert counts.sum() == POINTS
    assert not counts[image == 0].any()
    assert scipy.stats.chisquare(counts[image == 1]).pvalue > P_VALUE


def test_points_are_anywhere_in_their_pixel(clouds):
  for axis in on_the_page(clouds[1].reshape(-1, 2)):
    assert scipy.stats.kstest(axis % 1, 'uniform').pvalue > P_VALUE


def test_x_goes_right_and_y_up():
  image = np.zeros((1, 28, 28, 1), np.uint8)
  image[0, 0, 27] = 1  # the top right corner
  corner = Clouds.of_images({'1': image})
  x, y = corner.exemplar(jnp.int32(0), jnp.int32(0))
  assert 13 / PIXELS_PER_UNIT <= x <= 14 / PIXELS_PER_UNIT
  assert 13 / PIXELS_PER_UNIT <= y <= 14 / PIXELS_PER_UNIT


def test_the_digit_of_a_class_is_known(clouds):
  np.testing.assert_array_equal(clouds[0].digits, [3, 3, 7, 7, 7])


def test_a_blank_image_is_refused(digits):
  blank = {'0': np.zeros((1, 28, 28, 1), np.uint8)}
  with pytest.raises(InputError, match='with ink; got a blank one'):
    Clouds.of_images(blank | digits)


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  """Toy files of MNIST: six training images and one test image a digit."""
  path = tmp_path_factory.mktemp('points')
  rng = np.random.default_rng(0)
  for name, count in (('train', 6), ('test', 1)):
    images = {
      str(digit): np.float32(rng.random((count, 28, 28)) < 0.2)
      for digit in range(10)
    }
    np.savez(path / f'binmnist_{name}.npz', **images)
  return path


def test_parts_are_those_of_mnist(data_dir):
  points = sources.load('points', data_dir=str(data_dir))
  images = sources.load('mnist', data_dir=str(data_dir))
  for part, count in zip(PARTS, (5, 1, 1), strict=True):
    clouds, digits = getattr(points, part), getattr(images, part)
    assert clouds.num_classes == 10 * count
    assert clouds.object_shape == (2,)
    ink = np.asarray(digits.images, int).sum((2, 3, 4)).ravel()
    np.testing.assert_array_equal(clouds.counts, ink)
    labels = np.arange(10).repeat(count)
    np.testing.assert_array_equal(clouds.digits, labels)


def test_the_fingerprint_is_of_the_images(data_dir, tmp_path):
  ours = sources.load('points', data_dir=str(data_dir)).fingerprint
  assert ours != sources.load('mnist', data_dir=str(data_dir)).fingerprint
  for name in ('train', 'test'):
    file = f'binmnist_{name}.npz'
    with np.load(data_dir / file) as archive:
      np.savez(tmp_path / file, **{k: 1 - v for k, v in archive.items()})
  other = sources.load('points', data_dir=str(tmp_path)).fingerprint
  assert ours != other


def test_mistakes_are_those_of_mnist(tmp_path):
  np.savez(tmp_path / 'binmnist_train.npz')
  refused('no binmnist_test.npz', name='points', data_dir=str(tmp_path))
  refused('omniglot', "'weak'", name='points', split='weak')
