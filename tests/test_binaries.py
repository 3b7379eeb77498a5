"""The binaries: what they write, and what they say to a user's mistake."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tiny
from PIL import Image

ROOT = pathlib.Path(__file__).parent.parent
SIZE = 8  # pixels
EXEMPLARS = 6
FLAGS = tiny.FIELDS | {
  'batch_size': 2,
  'episode_length': 3,
  'eval_every': 2,
  'log_every': 1,
  'eval_episodes': 2,
}
FIELDS = [f'--config.{name}={value}' for name, value in FLAGS.items()]

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

ENVIRONMENT = os.environ | {'PYTHONPATH': str(ROOT)}


def binary(name):
  return str(ROOT / 'experiments' / f'{name}.py')


def run(name, *arguments):
  """What a binary prints; it must succeed."""
  done = subprocess.run(
    [sys.executable, binary(name), *map(str, arguments)],
    env=ENVIRONMENT,
    capture_output=True,
    text=True,
    timeout=500,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  return done.stdout


@pytest.fixture(scope='module')
def data(tmp_path_factory):
  """200 classes of images, so that 20 are for testing."""
  root = tmp_path_factory.mktemp('data')
  rng = np.random.default_rng(0)
  for class_id in range(200):
    (root / f'{class_id:03}').mkdir()
    for exemplar in range(EXEMPLARS):
      ink = rng.random((SIZE, SIZE)) < 0.2
      image = Image.fromarray(np.where(ink, 0, 255).astype(np.uint8))
      image.save(root / f'{class_id:03}' / f'{exemplar}.png')
  return root


@pytest.fixture(scope='module')
def training(data):
  """The flags of a short training."""
  return ['--dataset=folder', f'--data_dir={data}', '--steps=4', *FIELDS]


@pytest.fixture(scope='module')
def trained(training, tmp_path_factory):
  """(workdir, what the training printed)."""
  workdir = tmp_path_factory.mktemp('trained') / 'run'
  return workdir, run('train', f'--workdir={workdir}', *training)


@pytest.fixture(scope='module')
def evaluated(trained):
  """(results by task, what the evaluation printed)."""
  workdir, _ = trained
  output = run(
    'evaluate',
    f'--workdir={workdir}',
    '--num_samples=4',
    '--episodes=3',
    '--classification_tasks=2',
    '--classification_samples=2',
  )
  results = {
    path.stem: json.loads(path.read_text())
    for path in (workdir / 'results').iterdir()
  }
  return results, output


# --- what they write


def png_size(path):
  with Image.open(path) as image:
    assert image.format == 'PNG'
    return image.size


def sheet_size(rows, shots, samples):
  """Lines of 1 pixel around images, 4 between the parts; all enlarged."""
  cell = SIZE + 1
  left = shots * cell + 1 + 4 if shots else 0
  return 2 * (left + samples * cell + 1), 2 * (rows * cell + 1)


def test_training_writes_what_it_promises(trained):
  workdir, _ = trained
  names = {path.name for path in workdir.iterdir()}
  assert {'config.json', 'data.json', 'metrics.jsonl'} <= names
  assert {'checkpoints', 'samples'} <= names
  assert not list(workdir.rglob('*.tmp'))
  sheets = sorted(path.name for path in (workdir / 'samples').iterdir())
  assert sheets == ['step_000002.png', 'step_000004.png']
  assert png_size(workdir / 'samples' / sheets[0]) == sheet_size(8, 3, 10)


def test_training_records_its_configuration(trained):
  config = json.loads((trained[0] / 'config.json').read_text())
  given = config | config['fields']
  assert {name: given[name] for name in FLAGS} == FLAGS
  assert given['steps'] == 4


def test_training_records_its_metrics(trained):
  rows = [
    json.loads(line)
    for line in (trained[0] / 'metrics.jsonl').read_text().splitlines()
  ]
  assert [(row['step'], row['part']) for row in rows] == [
    (1, 'train'),
    (2, 'train'),
    (2, 'valid'),
    (3, 'train'),
    (4, 'train'),
    (4, 'valid'),
  ]
  assert all(np.isfinite(row['bound']) for row in rows)


def test_training_says_where_the_samples_are(trained):
  workdir, output = trained
  assert output.splitlines()[-1] == (
    f'sample sheet: {workdir}/samples/step_000004.png'
  )


def test_likelihood_has_a_row_a_position_and_the_joint(evaluated):
  result = evaluated[0]['likelihood']
  assert [row['examples'] for row in result['rows']] == [0, 1, 2, 'joint']
  for row in result['rows']:
    for name in ('predictive', 'bound'):
      assert set(row[name]) == {'mean', 'stderr'}
      assert np.isfinite(row[name]['mean'])
    assert row['predictive']['mean'] > row['bound']['mean']


def test_classification_has_a_row_a_task(evaluated):
  rows = evaluated[0]['classification']['rows']
  assert [(row['ways'], row['shots']) for row in rows] == [
    (5, 1),
    (5, 5),
    (20, 1),
    (20, 5),
  ]
  for row in rows:
    for rule in ('kl', 'likelihood'):
      assert 0 <= row[rule]['mean'] <= 100


def test_every_figure_comes_with_its_protocol(evaluated):
  protocol = evaluated[0]['likelihood']['protocol']
  assert protocol['model'] == 'statistician'
  assert protocol['dataset'] == 'folder'
  assert protocol['part'] == 'test'
  assert (protocol['K'], protocol['T'], protocol['C']) == (4, 3, 1)
  assert protocol['episodes'] == 3
  assert protocol['replacement'] is False
  assert protocol['step'] in (2, 4)
  protocol = evaluated[0]['classification']['protocol']
  assert (protocol['K'], protocol['tasks']) == (2, 2)


def test_evaluation_prints_its_tables(trained, evaluated):
  workdir, _ = trained
  _, output = evaluated
  for task in ('likelihood', 'classification'):
    assert f'written: {workdir}/results/{task}.json' in output
  assert 'predictive' in output


def test_the_table_puts_models_side_by_side(trained, tmp_path):
  workdir, _ = trained
  shutil.copytree(workdir, tmp_path / 'copy')
  output = run(
    'evaluate',
    f'--workdir={workdir},{tmp_path / "copy"}',
    '--tasks=table',
    '--num_samples=2',
    '--episodes=2',
    '--length=5',
  )
  assert f'written: {workdir}/results/table.json' in output
  table = json.loads((workdir / 'results' / 'table.json').read_text())
  protocols = [
    (row['replacement'], row['C_test'], row['workdir']) for row in table['rows']
  ]
  assert protocols == [
    (replacement, classes, name)
    for replacement in (False, True)
    for classes in (1, 2, 3, 4)
    for name in (workdir.name, 'copy')
  ]
  for row in table['rows']:
    figures = [row[name] for name in ('1st', '2nd', '3rd', '4th', '5th')]
    assert all(figure['mean'] < 0 for figure in figures)
    assert '10th' not in row


@pytest.mark.parametrize('shots', [2, 0])
def test_sample_draws_concepts_of_the_data_set(trained, tmp_path, shots):
  out = tmp_path / 'sheet.png'
  output = run(
    'sample',
    f'--workdir={trained[0]}',
    f'--out={out}',
    '--rows=3',
    f'--shots={shots}',
    '--num_samples=4',
  )
  assert output == f'sample sheet: {out}\n'
  assert png_size(out) == sheet_size(3, shots, 4)


def test_a_growing_sheet_shows_one_example_more_in_each_row(trained, tmp_path):
  out = tmp_path / 'sheet.png'
  run(
    'sample',
    f'--workdir={trained[0]}',
    f'--out={out}',
    '--growing',
    '--classes=2',
    '--shots=3',
    '--num_samples=4',
  )
  assert png_size(out) == sheet_size(4, 3, 4)
  sheet = np.asarray(Image.open(out))[::2, ::2]
  cell = SIZE + 1
  cells = [
    [sheet[r * cell + 1 :, c * cell + 1 :][:SIZE, :SIZE] for c in range(3)]
    for r in range(4)
  ]
  for r in range(4):
    for c in range(3):
      shown = (cells[r][c] < 255).any()
      assert shown == (c < r)
      assert not shown or (cells[r][c] == cells[3][c]).all()


def test_sample_draws_the_concept_of_some_files(trained, data, tmp_path):
  out = tmp_path / 'sheet.png'
  files = [data / '007' / f'{exemplar}.png' for exemplar in range(2)]
  run(
    'sample',
    f'--workdir={trained[0]}',
    f'--support={",".join(map(str, files))}',
    '--num_samples=5',
    f'--out={out}',
  )
  assert png_size(out) == sheet_size(1, 2, 5)
  sheet = np.asarray(Image.open(out))[::2, ::2]
  first = np.asarray(Image.open(files[0]))
  np.testing.assert_array_equal(sheet[1 : 1 + SIZE, 1 : 1 + SIZE], first)


# --- a user's mistakes
#
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


def test_help_explains(tmp_path):
  done = subprocess.run(
    [sys.executable, binary('train'), '--help'],
    env=ENVIRONMENT,
    cwd=tmp_path,
    capture_output=True,
    text=True,
    timeout=200,
    check=False,
  )
  for text in ('Trains a model', '--config.learning_rate', '--workdir'):
    assert text in done.stdout
  assert not list(tmp_path.iterdir())
