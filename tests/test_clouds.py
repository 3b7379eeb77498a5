"""Sets of vectors as small images."""

import numpy as np
import pytest

from gen1shot import plotting
from gen1shot.errors import InputError

SIDE = 56


def test_a_point_is_a_dot_with_x_to_the_right_and_y_up():
  points = np.array([[[2.99, 2.99]], [[-2.99, 2.99]], [[2.99, -2.99]]])
  images = plotting.clouds(points)
  assert images.shape == (3, 1, SIDE, SIDE, 1)
  for image, row, column in zip(images, (0, 0, -1), (-1, 0, -1), strict=True):
    assert image.sum() == 1
    assert image[0, row, column, 0] == 1


def test_points_outside_of_the_frame_are_not_drawn():
  points = np.array([[[0.1, 0.1], [3.1, 0.0], [0.0, -9.0]]])
  assert plotting.clouds(points).sum() == 1


def test_reals_are_a_histogram_of_their_density():
  # Half of them in the first of 28 bins, an eighth of them in the last.
  values = np.concatenate([np.full(8, -3.95), np.full(2, 3.95), np.zeros(6)])
  image = plotting.clouds(values[None, :, None])[0, 0, ..., 0]
  assert set(np.unique(image)) == {0.0, 1.0}
  heights = image.sum(0)
  assert heights[:2].tolist() == [SIDE, SIDE]  # a density of 1.75
  assert heights[-2:].tolist() == 2 * [round(SIDE / 8 * 28 / 8)]
  assert (heights > 0).sum() == 6
  # Bars stand on the ground.
  assert image[-1, -1] == 1
  assert image[0, -1] == 0


@pytest.mark.parametrize('size', [1, 2])
def test_an_empty_set_is_a_blank_image(size):
  images = plotting.clouds(np.zeros((2, 0, size)))
  assert images.shape == (2, 1, SIDE, SIDE, 1)
  assert not images.any()


def test_clouds_go_on_sheets():
  points = np.random.default_rng(0).normal(size=(3, 50, 2))
  images = plotting.clouds(points)
  sheet = plotting.sheet(images, images)
  assert sheet.shape == (3 * (SIDE + 1) + 1, 2 * (SIDE + 2) + 4, 3)


def test_vectors_of_more_numbers_are_refused():
  with pytest.raises(InputError, match='1 or 2 numbers; got 3'):
    plotting.clouds(np.zeros((1, 5, 3)))
