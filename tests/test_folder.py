"""A folder of images: what is read, what is refused."""

import itertools

import numpy as np
import pytest
from PIL import Image
from toy_sources import PARTS, check_message, refused

from gen1shot.data import folder, sources
from gen1shot.errors import InputError


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
  assert source.train.object_shape == (6, 4, 1)
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
