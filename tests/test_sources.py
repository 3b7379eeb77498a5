"""The data sources: both roads to the data, the splits, the user's mistakes."""

import gzip
import itertools
import os
import pathlib
import pickle
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from gen1shot.data import folder, omniglot, sources, splits
from gen1shot.errors import InputError

PARTS = ('train', 'valid', 'test')
BACKGROUND = [f'Old_{i:02}' for i in range(30)]
EVALUATION = [f'New_{i:02}' for i in range(20)]
CHARACTERS = 5
DRAWERS = 2


@pytest.fixture
def real():
  """The folder of real files."""
  path = os.environ.get('GEN1SHOT_DATA_DIR')
  if not path or not pathlib.Path(path).is_dir():
    pytest.skip('GEN1SHOT_DATA_DIR names no folder with the real data')
  return pathlib.Path(path)


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


@pytest.fixture(scope='session')
def drawings():
  """Archive -> (alphabet, character, drawer) -> bool [105, 105] of paper."""
  rng = np.random.default_rng(0)
  return {
    archive: {
      key: rng.random((105, 105)) < 0.9
      for key in itertools.product(alphabets, range(CHARACTERS), range(DRAWERS))
    }
    for archive, alphabets in (
      ('images_background', BACKGROUND),
      ('images_evaluation', EVALUATION),
    )
  }


@pytest.fixture
def toy_npz(tmp_path, drawings):
  """A folder with toy train_small.npz and test_small.npz."""
  path = tmp_path / 'npz'
  path.mkdir()
  kept = [105 * r // 28 for r in range(28)]
  for name, archive in zip(
    ('train_small.npz', 'test_small.npz'), drawings, strict=True
  ):
    # The drawers come backwards: the published files have an order of their own
    arrays = {}
    for (alphabet, character, _), paper in reversed(drawings[archive].items()):
      arrays.setdefault(
        f'{archive}/{alphabet}/character{character:02}', []
      ).append(paper[kept][:, kept].reshape(784) * np.uint8(255))
    np.savez(
      path / name, **{key: np.stack(rows) for key, rows in arrays.items()}
    )
  return path


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


def refused(*expected, name='omniglot', **arguments):
  """Loads, which must fail with one line that contains all of `expected`."""
  with pytest.raises(InputError) as caught:
    sources.load(name, **arguments)
  check_message(str(caught.value), expected)


def check_message(message, expected):
  assert '\n' not in message
  for text in expected:
    assert str(text) in message


# --- splits


def test_shuffled_depends_on_names_and_seed_only():
  names = [f'n{i}' for i in range(20)]
  order = splits.shuffled(names, 0)
  assert sorted(order) == sorted(names)
  assert order == splits.shuffled(reversed(names), 0)
  assert order != splits.shuffled(names, 1)
  # Published: it may not change with a version of anything.
  assert order[:4] == ['n14', 'n13', 'n1', 'n0']


def alphabets(names):
  return {name.partition('/')[0] for name in names}


@pytest.mark.parametrize(
  ('split', 'train', 'valid', 'test'),
  [('30-20', 27, 3, 20), ('45-5', 41, 4, 5), ('40-10', 36, 4, 10)],
)
def test_alphabet_splits_share_no_alphabet(toy_npz, split, train, valid, test):
  source = sources.load('omniglot', data_dir=str(toy_npz), split=split)
  parts = {part: alphabets(source.class_names[part]) for part in PARTS}
  assert {part: len(parts[part]) for part in PARTS} == {
    'train': train,
    'valid': valid,
    'test': test,
  }
  assert len(set.union(*parts.values())) == 50
  assert (parts['test'] == set(EVALUATION)) == (split == '30-20')
  for part in PARTS:
    dataset = getattr(source, part)
    assert dataset.num_classes == len(source.class_names[part])
    assert dataset.num_classes == len(parts[part]) * CHARACTERS
    assert dataset.image_shape == (28, 28, 1)
    assert dataset.smallest_class == DRAWERS


def test_weak_split_holds_out_characters_of_each_alphabet(toy_npz):
  names = sources.load(
    'omniglot', data_dir=str(toy_npz), split='weak'
  ).class_names
  for part, count in (('train', CHARACTERS - 4), ('valid', 1), ('test', 3)):
    own = [name.partition('/')[0] for name in names[part]]
    assert sorted(own) == sorted((BACKGROUND + EVALUATION) * count)
  assert len(set().union(*names.values())) == 50 * CHARACTERS


@pytest.mark.parametrize('split', omniglot.SPLITS)
def test_split_and_fingerprint_follow_the_seed(toy_npz, split):
  def load(seed):
    return sources.load(
      'omniglot', data_dir=str(toy_npz), split=split, seed=seed
    )

  first, again, other = load(0), load(0), load(1)
  assert first.class_names == again.class_names
  assert first.fingerprint == again.fingerprint
  assert first.class_names != other.class_names
  assert first.fingerprint != other.fingerprint


def test_fingerprints_differ_between_splits(toy_npz):
  prints = {
    sources.load('omniglot', data_dir=str(toy_npz), split=split).fingerprint
    for split in omniglot.SPLITS
  }
  assert len(prints) == len(omniglot.SPLITS)


def test_glyphs_need_nothing():
  source = sources.load('glyphs')
  assert source.train.image_shape == (28, 28, 1)
  assert source.fingerprint == sources.load('glyphs', seed=1).fingerprint


# --- the archives


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


# --- the real files


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


# --- a folder of images


def write_images(root, classes, count=3, size=(6, 4), ink_is_dark=True):
  """Writes `count` images a class, height x width = `size`: corners of ink."""
  for number, name in enumerate(classes):
    (root / name).mkdir(parents=True)
    for i in range(count):
      grey = np.full(size, 200, np.uint8)
      grey[0, number % size[1]] = grey[1, i] = 50
      if not ink_is_dark:
        grey = 255 - grey
      Image.fromarray(grey).save(root / name / f'{i}.png')


@pytest.mark.parametrize('ink_is_dark', [True, False])
def test_folder(tmp_path, ink_is_dark):
  classes = [f'class{i:02}' for i in range(21)]
  write_images(tmp_path, classes, ink_is_dark=ink_is_dark)
  (tmp_path / '.hidden').mkdir()
  (tmp_path / 'notes.txt').write_text('not a class')
  (tmp_path / 'class00' / '._0.png').write_text('not an image')
  source = sources.load('folder', data_dir=str(tmp_path))
  names = source.class_names
  assert [len(names[part]) for part in PARTS] == [17, 2, 2]
  assert sorted(itertools.chain(*names.values())) == classes
  assert source.train.image_shape == (6, 4, 1)
  for part in PARTS:
    for name, images in zip(
      names[part], np.asarray(getattr(source, part).images), strict=True
    ):
      assert images.shape[0] == 3
      np.testing.assert_array_equal(images.sum((1, 2, 3)), 2)
      assert images[:, 0, classes.index(name) % 4].all()
  again = sources.load('folder', data_dir=str(tmp_path))
  assert again.fingerprint == source.fingerprint
  other = sources.load('folder', data_dir=str(tmp_path), seed=1)
  assert other.fingerprint != source.fingerprint


def test_folder_notices_changed_images(tmp_path):
  write_images(tmp_path, 'abc')
  before = sources.load('folder', data_dir=str(tmp_path)).fingerprint
  Image.new('L', (4, 6), 255).save(tmp_path / 'a' / '0.png')
  assert sources.load('folder', data_dir=str(tmp_path)).fingerprint != before


def test_read_image_takes_the_rarer_kind_for_ink(tmp_path):
  ink = np.zeros((5, 7, 1), np.uint8)
  ink[2, 1:6] = 1
  grey = np.where(ink[..., 0], 10, 240).astype(np.uint8)
  transparent = np.zeros((5, 7, 4), np.uint8)
  transparent[..., 3] = ink[..., 0] * 255  # black ink on nothing
  for name, array in {
    'dark.png': grey,
    'light.png': 255 - grey,
    'colour.png': np.stack([grey] * 3, -1),
    'bit.png': grey > 128,
    'transparent.png': transparent,
  }.items():
    Image.fromarray(array).save(tmp_path / name)
    image = folder.read_image(tmp_path / name)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, ink, err_msg=name)


@pytest.mark.parametrize('content', [b'', b'no image', 'truncated', '16 bits'])
def test_bad_image_is_named(tmp_path, content):
  write_images(tmp_path, 'abc', count=1)
  path = tmp_path / 'b' / '0.png'
  if content == 'truncated':
    noise = np.random.default_rng(0).integers(0, 256, (6, 4), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    content = path.read_bytes()[:-30]
  if content == '16 bits':
    Image.fromarray(np.zeros((6, 4), np.uint16)).save(path)
  else:
    path.write_bytes(content)
  refused(path, name='folder', data_dir=str(tmp_path))
  with pytest.raises(InputError) as caught:
    folder.read_image(path)
  check_message(str(caught.value), [path])


def test_read_image_that_is_absent(tmp_path):
  with pytest.raises(InputError, match='absent'):
    folder.read_image(tmp_path / 'absent.png')


def test_folder_mistakes(tmp_path):
  refused('--data_dir', '<class>/*.png', 'got none', name='folder')
  root = tmp_path / 'images'
  root.mkdir()
  mistake = {'name': 'folder', 'data_dir': str(root)}
  refused('at least 3 classes', 'has 0', '<class>/*.png', **mistake)
  write_images(root, 'ab')
  refused('at least 3 classes', 'has 2', root, **mistake)
  (root / 'c').mkdir()
  refused(root / 'c', 'no images', **mistake)
  Image.new('L', (5, 6)).save(root / 'c' / '0.JPG', 'jpeg')
  refused(root / 'a' / '0.png', '6x4', root / 'c' / '0.JPG', '6x5', **mistake)


# --- mistakes


def test_names_and_splits(toy_npz):
  refused('one of', 'omniglot', "'omniglt'", 'did you mean', name='omniglt')
  refused(
    'split must be one of',
    '45-5',
    'weak',
    "'50-0'",
    data_dir=str(toy_npz),
    split='50-0',
  )
  for name in ('glyphs', 'mnist', 'folder'):
    refused('omniglot', "'weak'", name, name=name, split='weak')


def test_data_dir(tmp_path, toy_npz):
  file = toy_npz / 'train_small.npz'
  for path in (tmp_path / 'absent', file):
    for name in ('omniglot', 'mnist', 'folder'):
      refused('data_dir must be a folder', path, name=name, data_dir=str(path))
  file.unlink()
  refused(
    'no train_small.npz',
    toy_npz,
    'images_background/<Alphabet>/characterNN',
    data_dir=str(toy_npz),
  )
  np.savez(tmp_path / 'binmnist_train.npz')
  refused('no binmnist_test.npz', name='mnist', data_dir=str(tmp_path))


GOOD = np.full((2, 784), 255, np.uint8)


@pytest.mark.parametrize(
  ('key', 'array'),
  [
    ('images_evaluation/A/character01', GOOD),
    ('images_background/A/B/character01', GOOD),
    ('A', GOOD),
    ('images_background/A/character01', GOOD.astype(np.float32)),
    ('images_background/A/character01', GOOD[:, :783]),
    ('images_background/A/character01', GOOD[0]),
    ('images_background/A/character01', GOOD[0, 0]),
    ('images_background/A/character01', GOOD[:0]),
    ('images_background/A/character01', GOOD // 255),
  ],
)
def test_wrong_omniglot_array(toy_npz, key, array):
  np.savez(toy_npz / 'train_small.npz', **{key: array})
  refused(
    toy_npz / 'train_small.npz',
    repr(key),
    'uint8 [n, 784]',
    array.dtype,
    data_dir=str(toy_npz),
  )


def test_wrong_number_of_alphabets(toy_npz):
  np.savez(
    toy_npz / 'test_small.npz', **{'images_evaluation/A/character01': GOOD}
  )
  refused('30 background', '20 evaluation', '30 and 1', data_dir=str(toy_npz))


class Trap:
  """Unpickling it would be noticed."""

  def __reduce__(self):
    return pytest.fail, ('unpickled',)


@pytest.mark.parametrize(
  'damage', ['pickle', 'object', 'cut', 'array', 'flip', 'text']
)
def test_damaged_npz(toy_npz, damage):
  path = toy_npz / 'train_small.npz'
  content = path.read_bytes()
  if damage == 'pickle':
    path.write_bytes(pickle.dumps(Trap()))
  elif damage == 'object':
    np.savez(path, **{'images_background/A/character01': np.array([Trap()])})
  elif damage == 'cut':
    path.write_bytes(content[: len(content) // 2])
  elif damage == 'text':
    with zipfile.ZipFile(path, 'w') as archive:
      archive.writestr('images_background/A/character01', 'text')
  elif damage == 'array':
    with path.open('wb') as file:
      np.save(file, GOOD)
  else:
    middle = len(content) // 2
    flipped = content[middle : middle + 99].translate(bytes(range(255, -1, -1)))
    path.write_bytes(content[:middle] + flipped + content[middle + 99 :])
  refused(path, 'images_background/<Alphabet>', data_dir=str(toy_npz))


@pytest.mark.parametrize(
  ('change', 'expected'),
  [
    ({'9': None}, 'keys'),
    ({'ten': np.zeros((1, 28, 28), np.float32)}, "'ten'"),
    ({'3': np.zeros((1, 28, 28), np.uint8)}, "'3'"),
    ({'3': np.full((1, 28, 28), 0.5, np.float32)}, "'3'"),
    ({'3': np.zeros((1, 784), np.float32)}, "'3'"),
    ({'3': np.zeros((0, 28, 28), np.float32)}, "'3'"),
  ],
)
def test_wrong_mnist(tmp_path, change, expected):
  good = {str(d): np.zeros((6, 28, 28), np.float32) for d in range(10)}
  bad = {k: v for k, v in (good | change).items() if v is not None}
  np.savez(tmp_path / 'binmnist_train.npz', **good)
  np.savez(tmp_path / 'binmnist_test.npz', **bad)
  refused(
    tmp_path / 'binmnist_test.npz',
    "keys '0'..'9'",
    expected,
    name='mnist',
    data_dir=str(tmp_path),
  )
