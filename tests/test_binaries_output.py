"""What the binaries write: runs, results, sheets, help."""

import csv
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from binaries import ENVIRONMENT, FLAGS, SIZE, binary, run
from PIL import Image


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
  assert {'config.json', 'data.json', 'start.json', 'metrics.jsonl'} <= names
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
  other = tmp_path / 'other'
  shutil.copytree(workdir, other)
  config = json.loads((other / 'config.json').read_text())
  config['fields']['proposal'] = 'before'
  (other / 'config.json').write_text(json.dumps(config))
  output = run(
    'evaluate',
    f'--workdir={workdir},{other}',
    '--tasks=table',
    '--num_samples=2',
    '--episodes=2',
    '--length=5',
  )
  assert f'written: {workdir}/results/table.json' in output
  table = json.loads((workdir / 'results' / 'table.json').read_text())
  positions = ('1st', '2nd', '3rd', '4th', '5th')
  rows = iter(table['rows'])
  for replacement in (False, True):
    for classes in (1, 2, 3, 4):
      three = [next(rows) for _ in range(3)]
      for row in three:
        assert (row['replacement'], row['C_test']) == (replacement, classes)
        assert '10th' not in row
      assert [row['workdir'] for row in three] == [
        workdir.name,
        'other',
        'other',
      ]
      assert three[2]['model'] == 'more than the first'
      for position in positions:
        first, second, more = (row[position]['mean'] for row in three)
        assert first < 0
        assert more == pytest.approx(second - first, rel=1e-4, abs=1e-4)
        assert more != 0
  assert next(rows, None) is None


def test_curves_are_drawn_and_written(trained, tmp_path):
  pytest.importorskip('matplotlib')
  workdir, _ = trained
  out = tmp_path / 'curves.png'
  arguments = (f'--workdir={workdir}', f'--out={out}', '--part=train')
  assert run('curves', *arguments) == f'curves: {out}\n'
  assert out.read_bytes().startswith(b'\x89PNG')
  lines = (workdir / 'metrics.jsonl').read_text().splitlines()
  rows = [row for row in map(json.loads, lines) if row['part'] == 'train']
  with out.with_suffix('.csv').open(newline='') as file:
    table = list(csv.DictReader(file))
  assert [int(row['step']) for row in table] == [row['step'] for row in rows]
  assert [float(row['bound']) for row in table] == [
    row['bound'] for row in rows
  ]
  assert {row['run'] for row in table} == {workdir.name}


def test_curves_are_of_the_stages_that_recorded_the_metric(tmp_path):
  pytest.importorskip('matplotlib')
  rows = [{'bound': -2.0}, {'bound': -1.0, 'last': -0.5}, {'bound': -0.5}]
  lines = [
    json.dumps({'step': step, 'part': 'valid', **row}) + '\n'
    for step, row in enumerate(rows)
  ]
  (tmp_path / 'metrics.jsonl').write_text(''.join(lines))
  out = tmp_path / 'curves.png'
  run('curves', f'--workdir={tmp_path}', f'--out={out}', '--metric=last')
  with out.with_suffix('.csv').open(newline='') as file:
    (row,) = csv.DictReader(file)
  assert (row['step'], row['last']) == ('1', '-0.5')


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
  sheet = np.asarray(Image.open(out))[::2, ::2, 0]
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
  sheet = np.asarray(Image.open(out))[::2, ::2, 0]
  first = np.asarray(Image.open(files[0]))
  np.testing.assert_array_equal(sheet[1 : 1 + SIZE, 1 : 1 + SIZE], first)


def explained(folder, *arguments):
  """What `train.py --help` prints."""
  done = subprocess.run(
    [sys.executable, binary('train'), *arguments, '--help'],
    env=ENVIRONMENT,
    cwd=folder,
    capture_output=True,
    text=True,
    timeout=200,
    check=False,
  )
  return done.stdout


def test_help_explains(tmp_path):
  text = explained(tmp_path)
  for part in ('Trains a model', '--config.learning_rate:', '--workdir:'):
    assert part in text
  assert not list(tmp_path.iterdir())


def test_a_data_set_may_change_fields_of_the_model(tmp_path):
  for dataset, proposal in (('glyphs', 'upto'), ('omniglot', 'before')):
    text = explained(tmp_path, f'--dataset={dataset}')
    (_, told) = text.split('--config.proposal:')
    assert told.split('--')[0].strip().endswith(f"(default: '{proposal}')")
