"""What the binaries say to a user's mistake: one line, status 2."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import hostile
import numpy as np
import pytest
from binaries import ENVIRONMENT, ROOT, binary
from mistakes import BEGUN, MISTAKES
from PIL import Image

# Runs each command of a list in a process forked after the slow imports.
# Every command has a folder of its own to work in.
_DRIVER = """
import json, os, runpy, sys, traceback
from gen1shot import runs
sys.path.insert(0, sys.argv[1])

def run(command, cwd):
  os.chdir(cwd)
  for stream, name in ((1, 'stdout'), (2, 'stderr')):
    os.dup2(os.open(cwd + '.' + name, os.O_WRONLY | os.O_CREAT), stream)
  sys.argv = command
  try:
    runpy.run_path(command[0], run_name='__main__')
  except SystemExit as e:
    return e.code if isinstance(e.code, int) else int(e.code is not None)
  except BaseException:
    traceback.print_exc()
    return 1
  return 0

statuses = []
for command, cwd in json.load(sys.stdin):
  child = os.fork()
  if not child:
    status = run(command, cwd)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
  statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
json.dump(statuses, sys.stdout)
"""


def write_config(folder, **fields):
  path = folder / 'config.json'
  path.write_text(json.dumps(json.loads(path.read_text()) | fields))


# Folder -> what is done to a copy of the trained run.
SPOILT = {
  'unsaved': lambda folder: shutil.rmtree(folder / 'checkpoints'),
  'newer': lambda folder: write_config(folder, widht=8),
  'half': lambda folder: os.truncate(folder / 'config.json', 100),
  'bytes': lambda folder: (folder / 'config.json').write_bytes(b'\xff\xfe'),
  'unheard': lambda folder: (folder / 'data.json').write_text('[1]'),
}


def write_data(folder):
  """The data sets that the mistakes name."""
  blank = Image.new('L', (8, 8), 255)
  for name, exemplars in (
    ('good', 3),
    ('cut', 3),
    ('single', 1),
    ('linked', 3),
  ):
    for class_id in range(3):
      own = folder / 'data' / name / str(class_id)
      own.mkdir(parents=True)
      for exemplar in range(exemplars):
        blank.save(own / f'{exemplar}.png')
  os.truncate(folder / 'data' / 'cut' / '1' / '0.png', 40)
  secret = folder / 'data' / 'linked' / '2' / '0.png'
  secret.unlink()
  secret.symlink_to(folder / 'small.png')
  for name, text in (('latin', b'caf\xe9'), ('empty', b'\n\n')):
    (folder / 'texts' / name).mkdir(parents=True)
    (folder / 'texts' / name / 'a.txt').write_bytes(text)
  for name in ('objects', 'bomb'):
    (folder / 'npz' / name).mkdir(parents=True)
    np.savez(folder / 'npz' / name / 'test_small.npz')
  objects = {'images_background/A/character01': np.array([object])}
  np.savez(folder / 'npz' / 'objects' / 'train_small.npz', **objects)
  hostile.write_npz(
    folder / 'npz' / 'bomb' / 'train_small.npz',
    {'images_background/A/character01': hostile.promise((2**40, 784))},
  )


def content(folder):
  return {
    path.relative_to(folder): path.read_bytes() if path.is_file() else None
    for path in folder.rglob('*')
  }


@pytest.fixture(scope='module')
def replies(trained, training, tmp_path_factory):
  """id -> (status, stdout, stderr, what the folder held before and after)."""
  root = tmp_path_factory.mktemp('mistakes')
  folders, commands, before = {}, [], {}
  for number, (name, mistake) in enumerate(MISTAKES.items()):
    script, arguments, _ = mistake
    folder = folders[name] = root / str(number)
    for part in ('empty', 'other'):
      (folder / part).mkdir(parents=True)
    (folder / 'other' / 'notes.txt').write_text('mine')
    (folder / 'file').write_text('no image')
    Image.new('L', (5, 5)).save(folder / 'small.png')
    shutil.copytree(trained[0], folder / 'run')
    for part, spoil in SPOILT.items():
      if any(argument.endswith(f'={part}') for argument in arguments):
        shutil.copytree(folder / 'run', folder / part)
        spoil(folder / part)
    write_data(folder)
    given = [
      flag
      for argument in arguments
      for flag in (training if argument == 'TRAINING' else [argument])
    ]
    commands.append(([binary(script), *given], str(folder)))
    before[name] = content(folder)
  done = subprocess.run(
    [sys.executable, '-c', _DRIVER, str(ROOT / 'experiments')],
    input=json.dumps(commands),
    env=ENVIRONMENT,
    capture_output=True,
    text=True,
    timeout=550,
    check=True,
  )
  statuses = json.loads(done.stdout)
  return {
    name: (
      status,
      pathlib.Path(f'{folder}.stdout').read_text(),
      pathlib.Path(f'{folder}.stderr').read_text(),
      before[name],
      content(folder),
    )
    for status, (name, folder) in zip(statuses, folders.items(), strict=True)
  }


@pytest.mark.parametrize('name', MISTAKES)
def test_a_mistake_is_one_line_and_status_2(replies, name):
  status, stdout, stderr, _, _ = replies[name]
  assert status == 2, stderr
  assert stderr.startswith('error: ')
  assert stderr.count('\n') == 1
  assert stderr.endswith('\n')
  assert stdout == '' or name in BEGUN
  for text in MISTAKES[name][2]:
    assert text in stderr


@pytest.mark.parametrize('name', sorted(MISTAKES.keys() - BEGUN))
def test_a_mistake_leaves_nothing_behind(replies, name):
  _, _, _, before, after = replies[name]
  assert sorted(after) == sorted(before)
  assert after == before
