"""Sheets and films as pictures."""

import numpy as np
import pytest
from PIL import Image

from gen1shot import plotting
from gen1shot.errors import InputError

RED = np.array([220, 30, 30])


def test_sheet_has_the_support_in_red_boxes():
  support, samples = np.zeros((2, 2, 3, 4, 1)), np.zeros((2, 1, 3, 4, 1))
  support[1, 1, 2, 3] = samples[0, 0, 0, 0] = 1.0
  sheet = plotting.sheet(support, samples)
  assert sheet.dtype == np.uint8
  # Two rows; two images, a gap, one image; lines of a pixel.
  assert sheet.shape == (2 * 4 + 1, (2 * 5 + 1) + 4 + (5 + 1), 3)
  lines = np.ones((9, 11), bool)
  for row, column in np.ndindex(2, 2):
    lines[4 * row + 1 : 4 * row + 4, 5 * column + 1 : 5 * column + 5] = False
  given, new = sheet[:, :11], sheet[:, 15:]
  assert (given[lines] == RED).all()
  assert (new[lines[:, :6]] == 200).all()
  assert (given[~lines] == 0).all(-1).sum() == 1
  assert (given[4 + 3, 5 + 4] == 0).all()
  assert (new[1, 1] == 0).all()
  assert (sheet[:, 11:15] == 255).all()


def test_means_outside_of_the_range_are_cut():
  """Those of a Gaussian may be."""
  samples = np.array([-0.2, 0.0, 1.0, 1.1]).reshape(1, 4, 1, 1, 1)
  sheet = plotting.sheet(np.zeros((1, 0, 1, 1, 1)), samples)
  assert sheet[1, 1::2, 0].tolist() == [255, 255, 0, 0]


def test_film_shows_every_step_and_its_windows(tmp_path):
  means = np.zeros((3, 2, 4, 4, 1))
  means[2, 1, 1, 2] = 1.0  # one dark pixel at the end
  boxes = np.broadcast_to([0.0, 3.0, 0.0, 3.0], (3, 2, 4)).copy()
  boxes[0, 0] = [1.0, 2.0, 1.0, 2.0]
  path = tmp_path / 'film.gif'
  plotting.save_film(plotting.film(means, boxes), path)
  assert [p.name for p in tmp_path.iterdir()] == ['film.gif']
  with Image.open(path) as gif:
    frames = []
    for step in range(gif.n_frames):
      gif.seek(step)
      frames.append(np.array(gif.convert('RGB'), int))
  assert len(frames) == 3
  # Four screen pixels an image pixel, a line around each image.
  assert frames[0].shape == (4 * 6, 4 * 11, 3)
  assert (frames[2][4 * 2 + 2, 4 * (6 + 2) + 2] < 60).all()
  assert (frames[1][4 * 2 + 2, 4 * (6 + 2) + 2] > 200).all()

  def red(frame, row, column):
    return abs(frame[row, column] - RED).max() < 30

  # From the middle of pixel 1 to the middle of pixel 2.
  assert red(frames[0], 4 * 2 + 2, 4 * 2 + 2)
  assert red(frames[0], 4 * 3 + 2, 4 * 3 + 2)
  assert not red(frames[1], 4 * 2 + 2, 4 * 2 + 2)
  assert red(frames[1], 4 + 2, 4 + 2)


def test_film_without_windows_has_no_red():
  frames = plotting.film(np.full((2, 1, 4, 4, 1), 0.5))
  for frame in frames:
    pixels = np.array(frame, int)
    assert (pixels[..., 0] == pixels[..., 1]).all()


def test_a_film_that_cannot_be_written_leaves_nothing(tmp_path):
  taken = tmp_path / 'taken'
  taken.mkdir()
  frames = plotting.film(np.zeros((2, 1, 4, 4, 1)))
  with pytest.raises(InputError, match='can be written'):
    plotting.save_film(frames, taken)
  assert list(tmp_path.iterdir()) == [taken]
