"""Files from elsewhere cannot run code, fill the memory or lead out."""

import io
import os
import pathlib
import re
import struct
import sys
import zipfile
import zlib

import hostile
import numpy as np
import pytest
from PIL import Image
from tiny import CONFIG
from toy_sources import refused

from gen1shot import files, runs, shipped, workdir
from gen1shot.config import Config
from gen1shot.data import folder, npz, omniglot_tfds
from gen1shot.data.vocabulary import Vocabulary
from gen1shot.errors import InputError

ROOT = pathlib.Path(__file__).parent.parent
KEY = 'images_background/A/character01'


@pytest.fixture(scope='module')
def unpickled():
  """The classes that pickle has looked up, of which there must be none."""
  found = []
  sys.addaudithook(
    lambda event, args: (
      found.append(args) if event == 'pickle.find_class' else 0
    )
  )
  return found


def test_no_code_is_run_by_what_is_read():
  """Nothing that reads code has a place in the package."""
  code = re.compile(r'\b(pickle|dill|marshal|shelve|exec|eval|joblib)\b[.(]')
  for path in [
    *ROOT.glob('gen1shot/**/*.py'),
    *ROOT.glob('experiments/**/*.py'),
  ]:
    text = path.read_text()
    assert not code.search(text), path
    assert 'allow_pickle=True' not in text, path
    assert text.count('np.load(') == text.count('allow_pickle=False'), path


def test_no_class_is_unpickled_to_load_a_run(tmp_path, unpickled):
  config = CONFIG.__class__(fields=CONFIG.fields, steps=1, batch_size=2)
  runs.train_and_evaluate(config, tmp_path / 'run')
  unpickled.clear()
  runs.load_run(tmp_path / 'run')
  assert unpickled == []


def test_no_class_is_unpickled_to_load_a_model_of_the_package(unpickled):
  unpickled.clear()
  shipped.load('lda-bars')
  assert unpickled == []


# --- .npz


def read(path):
  return npz.read_arrays(path, 'the layout')


@pytest.mark.parametrize('dtype', ['|O', '|u1', '<f8'])
def test_a_promise_is_not_believed(tmp_path, dtype):
  path = tmp_path / 'a.npz'
  hostile.write_npz(path, {'a': hostile.promise((2**31, 2**20), dtype)})
  with pytest.raises(InputError, match=f'{npz.MOST_BYTES:,}|Python objects'):
    read(path)


def test_many_small_promises_are_added(tmp_path):
  path = tmp_path / 'a.npz'
  half = hostile.promise((npz.MOST_BYTES // 2 + 1,))
  hostile.write_npz(path, {'a': half, 'b': half})
  with pytest.raises(InputError, match=r"got more, up to 'b\.npy'"):
    read(path)


def test_zeros_that_were_deflated_are_not_inflated(tmp_path, monkeypatch):
  monkeypatch.setattr(npz, 'MOST_BYTES', 10**6)
  path = tmp_path / 'a.npz'
  with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
    archive.writestr('a', bytes(10**6 + 1))  # no array at all
  assert path.stat().st_size < 10_000
  with pytest.raises(InputError, match='at most 1,000,000 bytes'):
    read(path)


@pytest.mark.parametrize(
  'header',
  ["{'descr': '|u1', ", " {\n'a': 1}", '{[]: 1}', "{1: 2, 'descr': 3}"],
)
def test_a_header_may_be_anything(tmp_path, header):
  path = tmp_path / 'a.npz'
  text = header.encode()
  content = b'\x93NUMPY\x01\x00' + struct.pack('<H', len(text)) + text
  with zipfile.ZipFile(path, 'w') as archive:
    archive.writestr('a.npy', content)
  with pytest.raises(InputError, match='without Python objects'):
    read(path)


@pytest.mark.parametrize('name', ['../a', 'x/../../a', '..'])
def test_a_member_outside_of_the_archive_is_refused(tmp_path, name):
  path = tmp_path / 'inner' / 'a.npz'
  path.parent.mkdir()
  hostile.write_npz(path, {name + '/b': hostile.promise((16,))})
  with pytest.raises(InputError, match='names without'):
    read(path)
  assert sorted(tmp_path.rglob('*')) == [path.parent, path]


def test_pickled_objects_are_not_made(tmp_path, unpickled):
  path = tmp_path / 'a.npz'
  np.savez(path, a=np.array([print]))
  unpickled.clear()
  with pytest.raises(InputError, match='without Python objects'):
    read(path)
  assert unpickled == []


# --- images


def chunk(kind, content):
  crc = zlib.crc32(kind + content)
  return (
    struct.pack('>I', len(content)) + kind + content + struct.pack('>I', crc)
  )


def png(width, height, *more):
  """A picture of a size, of which there is no pixel."""
  header = struct.pack('>IIBBBBB', width, height, 8, 0, 0, 0, 0)
  chunks = [
    chunk(b'IHDR', header),
    *more,
    chunk(b'IDAT', b''),
    chunk(b'IEND', b''),
  ]
  return b'\x89PNG\r\n\x1a\n' + b''.join(chunks)


@pytest.mark.filterwarnings('ignore::PIL.Image.DecompressionBombWarning')
@pytest.mark.parametrize('side', [10_000, 60_000])
def test_a_picture_larger_than_the_memory_is_refused(tmp_path, side):
  path = tmp_path / 'a.png'
  path.write_bytes(png(side, side))
  with pytest.raises(InputError, match='exceeds limit') as caught:
    folder.read_image(path)
  assert str(path) in str(caught.value)


def test_a_comment_larger_than_the_memory_is_refused(tmp_path):
  text = chunk(b'zTXt', b'a\0\0' + zlib.compress(bytes(2**27)))
  path = tmp_path / 'a.png'
  path.write_bytes(png(8, 8, text))
  with pytest.raises(InputError, match='must be an image'):
    folder.read_image(path)


@pytest.mark.parametrize('kind', ['EPS', 'GIF', 'TIFF', 'BMP', 'PDF'])
def test_a_picture_is_png_or_jpeg_whatever_its_name(tmp_path, kind):
  """Pillow has Ghostscript read some of the others."""
  path = tmp_path / 'a.png'
  Image.new('L', (8, 8)).save(path, kind)
  with pytest.raises(InputError, match='must be an image'):
    folder.read_image(path)


def drawing(side):
  stream = io.BytesIO()
  Image.new('1', (side, side), 1).save(stream, 'png')
  return stream.getvalue()


def test_a_drawing_of_another_size_is_refused(tmp_path):
  path = tmp_path / 'a.zip'
  with zipfile.ZipFile(path, 'w') as archive:
    archive.writestr('images/A/character01/0001_01.png', drawing(2000))
  with pytest.raises(InputError, match='must be 105x105; got 2000x2000'):
    list(omniglot_tfds.read_archive(path))


def test_a_drawing_outside_of_the_archive_is_none(tmp_path):
  path = tmp_path / 'a.zip'
  with zipfile.ZipFile(path, 'w') as archive:
    for member in (
      '../../character01/0001_01.png',
      'i/../character01/1_01.png',
    ):
      archive.writestr(member, drawing(105))
  assert list(omniglot_tfds.read_archive(path)) == []
  assert list(tmp_path.iterdir()) == [path]


# --- folders


@pytest.fixture
def secret(tmp_path):
  """Something that is no data."""
  outside = tmp_path / 'outside'
  outside.mkdir()
  Image.new('L', (8, 8)).save(outside / '0.png')
  (outside / 'a.txt').write_text('secret secret\n\nword word\n\nand and')
  return outside


@pytest.fixture
def own(tmp_path):
  """Data of three classes, and three paragraphs."""
  root = tmp_path / 'own'
  for name in 'abc':
    (root / name).mkdir(parents=True)
    Image.new('L', (8, 8), 255).save(root / name / '0.png')
  (root / 'a.txt').write_text('one one\n\ntwo two\n\nthree three')
  return root


@pytest.mark.parametrize(
  ('name', 'link', 'target'),
  [
    ('folder', 'd', ''),
    ('folder', 'a/1.png', '0.png'),
    ('words', 'd', ''),
    ('words', 'b.txt', 'a.txt'),
  ],
)
def test_a_link_that_leads_out_is_refused(own, secret, name, link, target):
  (own / link).symlink_to(secret / target)
  refused(
    f'links must stay within {own}',
    f'{own / link} leads to {secret / target}',
    name=name,
    data_dir=str(own),
  )


@pytest.mark.parametrize(
  ('name', 'link', 'target'),
  [
    ('folder', 'd', 'a'),
    ('folder', 'a/1.png', '0.png'),
    ('words', 'b.txt', 'a.txt'),
  ],
)
def test_a_link_that_stays_within_is_followed(own, name, link, target):
  from gen1shot.data import sources

  (own / link).symlink_to(target)
  assert sources.load(name, data_dir=str(own)).train.num_classes >= 1


def test_a_data_dir_may_be_a_link(own, tmp_path):
  from gen1shot.data import sources

  (tmp_path / 'link').symlink_to(own)
  for name in ('folder', 'words'):
    sources.load(name, data_dir=str(tmp_path / 'link'))


@pytest.mark.parametrize(
  ('name', 'pipe'), [('folder', 'a/1.png'), ('words', 'b.txt')]
)
def test_a_file_that_never_ends_is_refused(own, name, pipe):
  os.mkfifo(own / pipe)
  refused('files and folders', own / pipe, name=name, data_dir=str(own))


# --- JSON


@pytest.mark.parametrize(
  'read', [Config.from_json, workdir.Data.from_json, Vocabulary.from_json]
)
@pytest.mark.parametrize(
  'text',
  [
    '[' * 10**6,
    '{"a":' * 10**6,
    '1' * 10**5,
    '"',
    '[]',
    '3',
    'null',
    '{"a": 1}',
  ],
)
def test_json_of_anything_else_is_refused(read, text):
  with pytest.raises(InputError) as caught:
    read(text)
  assert len(str(caught.value)) < 300


def test_a_text_is_read_up_to_a_size(tmp_path):
  path = tmp_path / 'a.json'
  path.write_text('12345')
  assert files.read_text(path, 5) == '12345'
  with pytest.raises(InputError, match='at most 4 bytes'):
    files.read_text(path, 4)
  with pytest.raises(InputError, match='must be a file'):
    files.read_text(tmp_path, 4)


@pytest.mark.parametrize(
  'name', ['config.json', 'data.json', 'vocabulary.json']
)
def test_an_endless_file_of_a_run_is_refused(tmp_path, name):
  (tmp_path / 'config.json').write_text(CONFIG.to_json())
  (tmp_path / 'data.json').write_text(workdir.Data('', 'words', (3,)).to_json())
  (tmp_path / name).unlink(missing_ok=True)
  with (tmp_path / name).open('wb') as file:
    file.truncate(2**33)  # as much as there may be, on no disk
  read = workdir.read_run
  if name == 'vocabulary.json':
    read = workdir.read_vocabulary
  with pytest.raises(InputError, match=f'{name} must have at most'):
    read(tmp_path)
