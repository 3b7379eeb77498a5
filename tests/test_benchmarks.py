"""Every benchmark from end to end, as small as it gets."""

import functools
import json
import subprocess
import sys

import pytest
from binaries import ENVIRONMENT, ROOT
from PIL import Image

RUNS = {
  'throughput': [
    '--models=draw,vae',
    '--presets=small',
    '--recurrent_steps=2',
    '--nopeer',
    '--seconds=1',
  ],
  'roofline': ['--models=lda', '--seconds=1', '--side=64', '--copied=4096'],
  'scaling': ['--models=lda', '--axes=T,eval', '--seconds=1', '--values=2'],
  'choices': ['--choices=default scheduler', '--seconds=1'],
  'startup': ['--models=lda', '--repeats=1'],
}


def run(name, *arguments):
  return subprocess.run(
    [sys.executable, '-m', f'benchmarks.{name}', *arguments],
    cwd=ROOT,
    env=ENVIRONMENT,
    capture_output=True,
    text=True,
    timeout=300,
    check=False,
  )


@pytest.fixture(scope='module')
def results(tmp_path_factory):
  """Gives of a name what it printed, its JSON and the path of that."""
  pytest.importorskip('matplotlib')

  @functools.cache
  def results_of(name):
    out = tmp_path_factory.mktemp(name)
    done = run(name, *RUNS[name], f'--out={out}')
    assert done.returncode == 0, done.stderr
    (path,) = out.glob(f'{name}*-cpu-*-cores.json')
    return done.stdout, json.loads(path.read_text()), path

  return results_of


@pytest.mark.parametrize('name', RUNS)
def test_figures_come_with_their_circumstances(results, name):
  printed, record, path = results(name)
  assert record['versions']['jax']
  assert record['threads'] >= 1
  assert len(record['load_average']) == 3
  assert f'written: {path}' in printed
  with Image.open(path.with_suffix('.png')) as image:
    assert image.format == 'PNG'


def test_throughput_has_a_row_a_preset_that_takes_steps(results):
  printed, record, path = results('throughput')
  assert path.name.startswith('throughput-2-steps-cpu-')
  (row,) = record['rows']
  assert (row['model'], row['preset']) == ('draw', 'small')
  assert row['twin'] is None
  assert f'{1e3 * row["ours"]["median"]:.2f}' in printed


def test_choices_are_ratios_of_a_step_without_to_one_with(results):
  printed, record, _ = results('choices')
  (row,) = record['rows']
  with_it, without = row['chosen']['median'], row['without']['median']
  assert row['ratio'] == pytest.approx(without / with_it)
  assert f'{1e3 * without:.1f} {row["ratio"]:6.2f}' in printed


def test_roofline_compares_a_step_with_both_ceilings(results):
  printed, record, _ = results('roofline')
  (row,) = record['rows']
  seconds = row['seconds']['median']
  of_matmul = row['flops'] / seconds / row['matmul']
  assert row['of_matmul'] == pytest.approx(of_matmul)
  assert row['of_copy'] == pytest.approx(row['bytes'] / seconds / row['copy'])
  assert f'{row["flops"] / seconds / 1e9:.1f}' in printed


def test_scaling_has_the_slope_of_every_axis(results):
  printed, record, _ = results('scaling')
  assert [row['axis'] for row in record['rows']] == ['T', 'eval']
  for row in record['rows']:
    few, many = (times['median'] for times in row['times'])
    # Both axes grow fourfold: a line through two points.
    assert row['values'][1] == 4 * row['values'][0]
    assert 4 ** row['slope'] == pytest.approx(many / few, rel=1e-6)
    assert f'slope {row["slope"]:5.2f}' in printed


def test_a_start_with_compiled_programs_is_faster(results):
  _, record, _ = results('startup')
  seconds = {row['until']: row['median'] for row in record['rows']}
  assert 0 < seconds['python'] < seconds['import jax']
  assert seconds['import jax'] < seconds['import gen1shot.runs']
  warm = seconds['lda, first step, warm']
  assert seconds['import gen1shot.runs'] < warm
  assert warm < seconds['lda, first step, cold']


@pytest.mark.parametrize(
  ('name', 'arguments', 'expected'),
  [
    (
      'scaling',
      ['--axes=X'],
      'axes must be one of B, K, S, T, devices, eval, size; got',
    ),
    ('roofline', ['--models=unigram'], 'models must be one of'),
    ('choices', ['--choices=shape'], 'choices must be one of all fusions,'),
    (
      'bound_per_second',
      ['--model=draw'],
      'model must be one of gmn, statistician; got',
    ),
    ('bound_per_second', ['--seconds=0'], 'seconds must be > 0; got 0.0'),
    ('scaling', ['--presets=paper'], 'presets must be small'),
    ('corpus', ['--out=/proc/corpus'], 'a file that can be written'),
    ('startup', ['--models=drow'], "did you mean 'draw'?"),
    (
      'throughput',
      ['--models=vae', '--recurrent_steps=20'],
      'recurrent_steps must be of models that have them; got vae',
    ),
  ],
)
def test_mistakes_are_one_line(name, arguments, expected):
  done = run(name, *arguments)
  assert done.returncode == 2
  (line,) = done.stderr.splitlines()
  assert expected in line
