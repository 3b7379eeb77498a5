"""Sources that do not exist, files that are damaged or hold other data."""

import pickle
import zipfile

import numpy as np
import pytest
from toy_sources import refused


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
