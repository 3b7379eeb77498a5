"""What the binaries say to a user's mistake: one line, status 2."""

import json
import pathlib
import shutil
import subprocess
import sys

import pytest
from binaries import ENVIRONMENT, FIELDS, ROOT, binary
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

# id -> (binary, arguments, what the message says). Each runs in a folder with
#   empty/    run/ (the trained one)    unsaved/ (the same without checkpoints)
#   other/ (with a file)    file    small.png

MISTAKES = {
  'no such model': (
    'train',
    ['--model=statistican'],
    ["did you mean 'statistician'"],
  ),
  'no such preset': ('train', ['--preset=papre'], ["did you mean 'paper'"]),
  'no such data set': ('train', ['--dataset=glyph'], ["did you mean 'glyphs'"]),
  'no such field': ('train', ['--config.widht=8'], ['config.width']),
  'no such flag': ('train', ['--workdri=x'], ['workdir']),
  'words for a number': ('train', ['--config.width=wide'], ['wide']),
  'words for steps': ('train', ['--steps=many'], ['many']),
  'no steps': ('train', ['--steps=0'], ['steps must be > 0; got 0']),
  'no such nets': ('train', ['--config.nets=con'], ["did you mean 'conv'"]),
  'no such objective': (
    'train',
    ['--config.objective=elbow'],
    ["did you mean 'elbo'"],
  ),
  'an estimator that a model cannot offer': (
    'train',
    ['--model=draw', '--config.objective=iwae'],
    ['got draw', 'use gradient=plain'],
  ),
  'binary observations of reals': (
    'train',
    ['--model=gmn', '--preset=fc', '--dataset=distributions'],
    ['observation=gaussian; got bernoulli', 'distributions'],
  ),
  'an argument': ('train', ['omniglot'], ["got 'omniglot'"]),
  'no data_dir': ('train', ['--dataset=folder'], ['needs --data_dir']),
  'data_dir missing': (
    'train',
    ['--dataset=folder', '--data_dir=missing'],
    ["got 'missing'"],
  ),
  'episode too long': (
    'train',
    ['--config.episode_length=21', '--workdir=empty'],
    ['20 exemplars; got length 21'],
  ),
  'workdir is a file': ('train', ['--workdir=file', *FIELDS], ['file']),
  'workdir of something else': (
    'train',
    ['--workdir=other', *FIELDS],
    ['other'],
  ),
  'workdir of another run': (
    'train',
    ['--workdir=run', 'TRAINING', '--config.width=9', '--seed=1'],
    ['seed was 0, is 1', 'width was 8, is 9'],
  ),
  'fewer steps than done': (
    'train',
    ['--workdir=run', 'TRAINING', '--steps=2'],
    ['steps must be >= 4', 'got 2'],
  ),
  'a run where none may be': (
    'train',
    ['--workdir=run', 'TRAINING', '--noresume'],
    ['--noresume'],
  ),
  'evaluate nothing': ('evaluate', [], ['--workdir']),
  'evaluate a missing folder': ('evaluate', ['--workdir=no'], ['hold a run']),
  'evaluate an empty folder': ('evaluate', ['--workdir=empty'], ['hold a run']),
  'evaluate without checkpoint': (
    'evaluate',
    ['--workdir=unsaved'],
    ['checkpoint'],
  ),
  'no such task': (
    'evaluate',
    ['--workdir=run', '--tasks=likelyhood'],
    ["did you mean 'likelihood'"],
  ),
  'a task for other data': (
    'evaluate',
    ['--workdir=run', '--tasks=activity,probe'],
    ['task probe is for distributions; got folder, of images'],
  ),
  'contexts of images': (
    'contexts',
    ['--workdir=run'],
    ['dataset distributions; got folder'],
  ),
  'summaries of images': (
    'summaries',
    ['--workdir=run'],
    ['points in the plane; got dataset folder'],
  ),
  'no such part': ('evaluate', ['--workdir=run', '--part=tset'], ['tset']),
  'no samples': ('evaluate', ['--workdir=run', '--num_samples=0'], ['0']),
  'evaluate episodes too long': (
    'evaluate',
    ['--workdir=run', '--length=7'],
    ['6 exemplars; got length 7'],
  ),
  'sample from an empty folder': (
    'sample',
    ['--workdir=empty'],
    ['hold a run'],
  ),
  'support missing': (
    'sample',
    ['--workdir=run', '--support=missing.png'],
    ['missing.png'],
  ),
  'support is no image': (
    'sample',
    ['--workdir=run', '--support=file'],
    ['file'],
  ),
  'support of another size': (
    'sample',
    ['--workdir=run', '--support=small.png'],
    ['must be 8x8', 'got 5x5 in small.png'],
  ),
  'more shots than exemplars': (
    'sample',
    ['--workdir=run', '--shots=7'],
    ['6 exemplars; got length 7'],
  ),
  'film of what does not paint': (
    'sample',
    ['--workdir=run', '--film=film.gif'],
    ['paint in steps; got statistician'],
  ),
}


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
    shutil.copytree(folder / 'run', folder / 'unsaved')
    shutil.rmtree(folder / 'unsaved' / 'checkpoints')
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
  assert stdout == ''
  for text in MISTAKES[name][2]:
    assert text in stderr


@pytest.mark.parametrize('name', MISTAKES)
def test_a_mistake_leaves_nothing_behind(replies, name):
  _, _, _, before, after = replies[name]
  assert sorted(after) == sorted(before)
  assert after == before
