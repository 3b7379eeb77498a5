"""The real files, where GEN1SHOT_DATA_DIR names their folder."""

import os
import pathlib
import sys

import numpy as np
import pytest
from toy_sources import PARTS

from gen1shot.data import sources


@pytest.fixture
def real():
  """The folder of real files."""
  path = os.environ.get('GEN1SHOT_DATA_DIR')
  if not path or not pathlib.Path(path).is_dir():
    pytest.skip('GEN1SHOT_DATA_DIR names no folder with the real data')
  return pathlib.Path(path)


def test_official_archives_reduce_to_the_published_images(real):
  from gen1shot.data import omniglot_tfds

  published = np.load(real / 'train_small.npz', allow_pickle=False)
  count = 0
  for archive in ('small1', 'small2'):
    for name, images in omniglot_tfds.read_archive(
      real / f'images_background_{archive}.zip'
    ):
      ours = {image.tobytes() for image in images}
      theirs = published[f'images_background/{name}'] == 0
      assert ours == {row.astype(np.uint8).tobytes() for row in theirs}
      assert len(images) == 20
      count += 1
  assert count == 136 + 156
  assert 'tensorflow' not in sys.modules


def test_real_omniglot(real):
  source = sources.load('omniglot', data_dir=str(real))
  train, valid, test = (np.asarray(getattr(source, p).images) for p in PARTS)
  assert len(train) + len(valid) == 964
  assert len(test) == 659
  assert train.shape[1:] == test.shape[1:] == (20, 28, 28, 1)
  background = np.concatenate([train, valid])
  assert background.mean() == pytest.approx(0.0780, abs=5e-5)
  assert test.mean() == pytest.approx(0.0843, abs=5e-5)


def test_real_mnist(real):
  source = sources.load('mnist', data_dir=str(real))
  train, valid, test = (
    np.asarray(getattr(source, p).sizes, int) for p in PARTS
  )
  assert (train + valid).sum() == 60_000
  assert test.sum() == 10_000
  np.testing.assert_array_equal(train, (train + valid) * 5 // 6)
  assert 0.05 < np.asarray(source.test.images[1]).mean() < 0.1
  assert source.class_names['test'] == tuple('0123456789')
