"""The archives of the data sets, downloaded by hand or not at all."""

import gzip
import itertools
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image
from toy_sources import CHARACTERS, DRAWERS, PARTS, refused

from gen1shot.data import sources


@pytest.fixture
def offline(monkeypatch):
  """No server answers, no archive has the official checksum."""
  from tensorflow_datasets.core.download import download_manager

  monkeypatch.setenv('HTTPS_PROXY', 'http://127.0.0.1:9')
  monkeypatch.setattr(
    download_manager.DownloadManager,
    '_register_or_validate_checksums',
    lambda *args, **kwargs: None,
  )


@pytest.fixture
def toy_zips(tmp_path, drawings):
  """A data_dir of TFDS with the toy archives downloaded by hand."""
  path = tmp_path / 'tfds'
  write_zips(path / 'downloads' / 'manual', drawings)
  return path


def write_zips(manual, drawings):
  manual.mkdir(parents=True)
  for archive, papers in drawings.items():
    with zipfile.ZipFile(manual / f'{archive}.zip', 'w') as file:
      file.writestr(f'{archive}/', '')
      for number, ((alphabet, character, drawer), paper) in enumerate(
        papers.items()
      ):
        member = (
          f'{archive}/{alphabet}/character{character:02}/'
          f'{number // DRAWERS:04}_{drawer + 1:02}.png'
        )
        with file.open(member, 'w') as stream:
          Image.fromarray(paper).save(stream, 'png')


def test_archive_is_reduced_by_the_index_rule(toy_zips, drawings):
  from gen1shot.data import omniglot_tfds

  manual = toy_zips / 'downloads' / 'manual'
  classes = dict(omniglot_tfds.read_archive(manual / 'images_background.zip'))
  assert len(classes) == 30 * CHARACTERS
  for name, images in classes.items():
    assert images.dtype == np.uint8
    assert images.shape == (DRAWERS, 28, 28, 1)
    alphabet, character = name.split('/character')
    for drawer, image in enumerate(images):
      paper = drawings['images_background'][alphabet, int(character), drawer]
      for r, c in itertools.product(range(0, 28, 9), range(28)):
        assert image[r, c, 0] == (not paper[105 * r // 28, 105 * c // 28])


def test_both_roads_lead_to_the_same_data(toy_npz, toy_zips, offline):
  from_npz = sources.load('omniglot', data_dir=str(toy_npz))
  from_zips = sources.load('omniglot', data_dir=str(toy_zips))
  assert from_npz.class_names == from_zips.class_names
  assert from_npz.fingerprint == from_zips.fingerprint
  for part in PARTS:
    a, b = getattr(from_npz, part).images, getattr(from_zips, part).images
    # The drawers of the .npz come backwards.
    np.testing.assert_array_equal(a[:, ::-1], b)
  assert 'tensorflow' not in sys.modules


def test_prepared_data_need_neither_archives_nor_network(toy_zips, offline):
  first = sources.load('omniglot', data_dir=str(toy_zips))
  for archive in (toy_zips / 'downloads' / 'manual').iterdir():
    archive.unlink()
  again = sources.load('omniglot', data_dir=str(toy_zips), split='weak')
  assert first.fingerprint != again.fingerprint


def test_no_network_is_told_at_once(tmp_path, monkeypatch):
  monkeypatch.setenv('HTTPS_PROXY', 'http://127.0.0.1:9')
  manual = tmp_path / 'downloads' / 'manual'
  refused(
    'github.com cannot be reached',
    'images_background.zip',
    'images_evaluation.zip',
    manual,
    'train_small.npz',
    '--dataset=glyphs',
    data_dir=str(tmp_path),
  )
  refused(
    'storage.googleapis.com cannot be reached',
    't10k-labels-idx1-ubyte.gz',
    manual,
    'binmnist_test.npz',
    name='mnist',
    data_dir=str(tmp_path),
  )
  refused(
    'raw.githubusercontent.com cannot be reached',
    'tinyshakespeare/input.txt',
    manual,
    '--dataset=words',
    '--dataset=bars',
    name='shakespeare',
    data_dir=str(tmp_path),
  )
  assert not (tmp_path / 'omniglot28').exists()


def test_wrong_archive_is_named(toy_zips):
  refused(
    'wrong checksum',
    'images_',
    'replace the files in',
    toy_zips / 'downloads' / 'manual',
    data_dir=str(toy_zips),
  )


def test_mnist_from_the_original_files(tmp_path, offline):
  rng = np.random.default_rng(0)
  manual = tmp_path / 'downloads' / 'manual'
  manual.mkdir(parents=True)
  grey = {}
  for part, count in (('train', 12), ('t10k', 3)):
    labels = rng.permutation(np.repeat(np.arange(10, dtype=np.uint8), count))
    images = rng.integers(0, 256, (len(labels), 28, 28), dtype=np.uint8)
    grey[part] = images, labels
    for kind, array in (('images', images), ('labels', labels)):
      header = bytes([0, 0, 8, array.ndim])
      header += np.array(array.shape, '>i4').tobytes()
      name = f'{part}-{kind}-idx{array.ndim}-ubyte.gz'
      (manual / name).write_bytes(gzip.compress(header + array.tobytes()))
  source = sources.load('mnist', data_dir=str(tmp_path))
  images, labels = grey['train']
  for digit in range(10):
    ink = images[labels == digit][..., None] > 127
    np.testing.assert_array_equal(source.train.images[digit], ink[:10])
    np.testing.assert_array_equal(source.valid.images[digit], ink[10:])
    ink = grey['t10k'][0][grey['t10k'][1] == digit][..., None] > 127
    np.testing.assert_array_equal(source.test.images[digit], ink)
  assert 'tensorflow' not in sys.modules


SPEECHES = """First Citizen:
Before we proceed any further, hear me speak.

All:
Speak, speak.

First Citizen:
You are all resolved rather to die than to famish?

All:
Resolved. resolved.
"""


@pytest.fixture
def plays(tmp_path):
  """A data_dir of TFDS with a few speeches downloaded by hand."""
  manual = tmp_path / 'downloads' / 'manual'
  manual.mkdir(parents=True)
  (manual / 'input.txt').write_text(SPEECHES)
  return tmp_path


def test_shakespeare_from_the_original_file(plays, offline):
  first = sources.load('shakespeare', data_dir=str(plays))
  (plays / 'downloads' / 'manual' / 'input.txt').unlink()
  again = sources.load('shakespeare', data_dir=str(plays))
  assert first.fingerprint == again.fingerprint
  assert [getattr(first, part).num_classes for part in PARTS] == [2, 1, 1]
  sizes = [int(n) for part in PARTS for n in getattr(first, part).sizes]
  assert sorted(sizes) == [6, 6, 13, 14]
  assert 'tensorflow' not in sys.modules
  # As if the same speeches were the text of the user.
  (plays / 'mine').mkdir()
  (plays / 'mine' / 'plays.txt').write_text(SPEECHES)
  own = sources.load('words', data_dir=str(plays / 'mine'))
  assert own.vocabulary == first.vocabulary
  for part in PARTS:
    np.testing.assert_array_equal(
      getattr(own, part).words, getattr(first, part).words
    )
  other = sources.load('shakespeare', data_dir=str(plays), seed=1)
  assert other.fingerprint != first.fingerprint


def test_wrong_plays_are_named(plays):
  refused(
    'wrong checksum',
    'tinyshakespeare/input.txt',
    'replace the files in',
    plays / 'downloads' / 'manual',
    name='shakespeare',
    data_dir=str(plays),
  )


def test_wrong_digits_are_named(tmp_path):
  manual = tmp_path / 'downloads' / 'manual'
  manual.mkdir(parents=True)
  for part, count in (('train', 60_000), ('t10k', 10_000)):
    for kind, axes in (('images', 3), ('labels', 1)):
      (manual / f'{part}-{kind}-idx{axes}-ubyte.gz').write_bytes(bytes(count))
  refused('wrong checksum', 'ubyte.gz', name='mnist', data_dir=str(tmp_path))


def test_nothing_is_read_whose_checksum_nobody_knows(plays, monkeypatch):
  from gen1shot.data import shakespeare_tfds

  monkeypatch.setattr(shakespeare_tfds.Shakespeare, 'url_infos', {})
  refused('checksum', name='shakespeare', data_dir=str(plays))
