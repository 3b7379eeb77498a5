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
#   other/ (with a file)    file    small.png    and what SPOILT makes of run/
#   data/ with images: good/    cut/    single/ (one a class)    linked/ (out)
#   texts/: latin/    empty/    npz/: objects/    bomb/

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
  'a seed of 32 bits and more': (
    'train',
    ['--seed=4294967296'],
    ['seed must be below 2**31; got 4294967296'],
  ),
  'a learning rate that is not a number': (
    'train',
    ['--config.learning_rate=nan'],
    ['learning_rate must be finite; got nan'],
  ),
  'an infinite learning rate': (
    'train',
    ['--config.learning_rate=inf'],
    ['learning_rate must be finite; got inf'],
  ),
  'an average of infinite memory': (
    'train',
    ['--config.ema_decay=1'],
    ['ema_decay must be in [0, 1); got 1.0'],
  ),
  'no objects': (
    'train',
    ['--config.episode_length=0'],
    ['episode_length must be > 0; got 0'],
  ),
  'half an episode': ('train', ['--config.batch_size=0.5'], ["'0.5'"]),
  'no checkpoints': ('train', ['--config.keep=0'], ['keep must be > 0; got 0']),
  'a weight that the objective does not have': (
    'train',
    ['--config.objective=iwae', '--config.kl_warmup=9'],
    ['kl_warmup goes with objective=elbo only', 'objective=iwae'],
  ),
  'sets that grow under the wrong objective': (
    'train',
    ['--config.objective=elbo', '--config.length_warmup=9'],
    ['length_warmup goes with objective=iwae only', 'objective=elbo'],
  ),
  'a split of what has one split': (
    'train',
    ['--dataset=glyphs', '--config.split=weak'],
    ['must stay 30-20', "got 'weak' with glyphs"],
  ),
  'images for a model of words': (
    'train',
    ['--model=lda', '--dataset=glyphs'],
    ['lda models words; got dataset glyphs'],
  ),
  'a layer less than none': (
    'train',
    ['TRAINING', '--config.encoder_depth=-1', '--workdir=empty'],
    ['encoder_depth must be >= 0; got -1'],
  ),
  'more classes than there are': (
    'train',
    ['TRAINING', '--config.max_classes=161', '--workdir=empty'],
    ['max_classes must be <= 160', 'got 161'],
  ),
  'more than the memory': (
    'train',
    ['TRAINING', '--config.batch_size=2000000000', '--workdir=empty'],
    ['must fit into memory'],
  ),
  'one object a class': (
    'train',
    ['TRAINING', '--data_dir=data/single'],
    ['smallest class, 1 exemplars; got length 3'],
  ),
  'an image that is cut': (
    'train',
    ['TRAINING', '--data_dir=data/cut'],
    ['must be an image that can be read', 'cut/1/0.png'],
  ),
  'a link out of the data': (
    'train',
    ['TRAINING', '--data_dir=data/linked'],
    ['links must stay within data/linked', 'linked/2/0.png leads to'],
  ),
  'a text in another encoding': (
    'train',
    ['--model=lda', '--dataset=words', '--data_dir=texts/latin'],
    ['texts must be in UTF-8', 'latin/a.txt'],
  ),
  'a text without words': (
    'train',
    ['--model=lda', '--dataset=words', '--data_dir=texts/empty'],
    ['at least 3 different paragraphs', 'got 0'],
  ),
  'an archive of Python objects': (
    'train',
    ['--dataset=omniglot', '--data_dir=npz/objects'],
    ['without Python objects', 'objects/train_small.npz'],
  ),
  'an archive larger than the memory': (
    'train',
    ['--dataset=omniglot', '--data_dir=npz/bomb'],
    ['at most 1,073,741,824 bytes', 'bomb/train_small.npz'],
  ),
  'a workdir in a file': (
    'train',
    ['TRAINING', '--workdir=file/run'],
    ['must be a folder that can be written', 'file/run'],
  ),
  'a configuration of a newer version': (
    'train',
    ['TRAINING', '--workdir=newer'],
    ['fields of this version', 'got widht'],
  ),
  'evaluate a newer version': (
    'evaluate',
    ['--workdir=newer'],
    ['fields of this version', 'got widht'],
  ),
  'evaluate a configuration that is cut': (
    'evaluate',
    ['--workdir=half'],
    ['config.json must be JSON'],
  ),
  'evaluate a configuration of bytes': (
    'evaluate',
    ['--workdir=bytes'],
    ['bytes/config.json must be a text'],
  ),
  'sample from data unheard of': (
    'sample',
    ['--workdir=unheard'],
    ['data.json must hold', '[1]'],
  ),
  'evaluate on data of other classes': (
    'evaluate',
    ['--workdir=run', '--data_dir=data/good'],
    ['must have the classes of the training'],
  ),
  'evaluate with a million million samples': (
    'evaluate',
    ['--workdir=run', '--num_samples=1000000000000'],
    ['1000000000000'],
  ),
  'evaluate one episode': (
    'evaluate',
    ['--workdir=run', '--episodes=1'],
    ['episodes'],
  ),
  'evaluate a seed below 0': (
    'evaluate',
    ['--workdir=run', '--seed=-1'],
    ['-1'],
  ),
  'sample no rows': ('sample', ['--workdir=run', '--rows=0'], ['rows']),
  'sample less than no shots': (
    'sample',
    ['--workdir=run', '--shots=-1'],
    ['shots'],
  ),
  'sample of more classes than there are': (
    'sample',
    ['--workdir=run', '--growing', '--shots=30', '--classes=30'],
    ['max_classes must be <= 20', 'got 30'],
  ),
  'sample to where no file can be': (
    'sample',
    ['--workdir=run', '--out=file/sheet.png', '--rows=1', '--shots=1'],
    ['file/sheet.png must be a file that can be written'],
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


# Only its first step can tell.
BEGUN = {'more than the memory'}


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
      if f'--workdir={part}' in arguments:
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
