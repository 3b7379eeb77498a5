"""The binaries on sets of vectors: reals and points."""

import json

import binaries
import numpy as np
import pytest
from PIL import Image

TRAINING = [*binaries.FIELDS, '--model=statistician', '--steps=2']


@pytest.fixture(scope='module')
def reals_run(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('reals') / 'run'
  binaries.run('train', f'--workdir={workdir}', '--preset=reals', *TRAINING)
  return workdir


@pytest.fixture(scope='module')
def points_run(tmp_path_factory):
  folder = tmp_path_factory.mktemp('points')
  rng = np.random.default_rng(0)
  for name in ('train', 'test'):
    images = {
      str(digit): np.float32(rng.random((6, 28, 28)) < 0.2)
      for digit in range(10)
    }
    np.savez(folder / f'binmnist_{name}.npz', **images)
  binaries.run(
    'train',
    f'--workdir={folder / "run"}',
    '--preset=points',
    f'--data_dir={folder}',
    *TRAINING,
  )
  return folder / 'run'


def test_tables_that_suit_are_written_without_being_asked_for(reals_run):
  binaries.run(
    'evaluate', f'--workdir={reals_run}', '--num_samples=2', '--episodes=2'
  )
  results = {
    path.stem: json.loads(path.read_text())
    for path in (reals_run / 'results').iterdir()
  }
  assert set(results) == {'likelihood', 'activity', 'probe'}
  rows = results['probe']['rows']
  assert [row['probe'] for row in rows] == [
    'linear',
    'posterior',
    'nearest',
  ]
  for row in rows:
    assert 0 <= row['family %']['mean'] <= 100
    assert row['mean R2']['mean'] < 1
  assert results['probe']['protocol']['dataset'] == 'distributions'


@pytest.mark.parametrize('run', ['reals_run', 'points_run'])
def test_sheets_show_each_set_as_a_picture(run, request):
  workdir = request.getfixturevalue(run)
  (sheet,) = (workdir / 'samples').iterdir()
  with Image.open(sheet) as image:
    # Clouds of 56 pixels: one of the support, one of the samples.
    assert image.size == (2 * (2 * 58 + 4), 2 * (8 * 57 + 1))


def test_contexts_are_drawn(reals_run, tmp_path):
  pytest.importorskip('matplotlib')
  out = tmp_path / 'contexts.png'
  arguments = (f'--workdir={reals_run}', f'--out={out}', '--sets=20')
  assert binaries.run('contexts', *arguments) == f'contexts: {out}\n'
  assert out.exists()


def test_summaries_are_drawn(points_run, tmp_path):
  pytest.importorskip('matplotlib')
  out = tmp_path / 'summaries.png'
  arguments = (f'--workdir={points_run}', f'--out={out}', '--size=2')
  assert binaries.run('summaries', *arguments) == f'summaries: {out}\n'
  assert out.exists()
