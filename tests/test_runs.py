"""A run survives what befalls it: NaN, more steps, a kill."""

import dataclasses
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time

import jax.numpy as jnp
import pytest
import tiny
from tiny import CONFIG
from trees import assert_same_bits

from gen1shot import runs, training, workdir
from gen1shot.checkpoints import digest, recover
from gen1shot.objectives import objective

ROOT = pathlib.Path(__file__).parent.parent
RUN = dataclasses.replace(
  CONFIG,
  batch_size=2,
  episode_length=2,
  steps=6,
  eval_every=2,
  log_every=1,
  eval_episodes=2,
)


def metrics_of(folder):
  lines = (folder / 'metrics.jsonl').read_text().splitlines()
  return [json.loads(line) for line in lines]


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path, monkeypatch):
  """It names the step, and the checkpoint before is kept."""

  def broken(module, config, params, x, key, step, starts, mask):
    value, metrics = objective(
      module, config, params, x, key, step, starts, mask
    )
    # Step 4 is the one that starts from three steps done.
    bad = False if step is None else step == 3
    return jnp.where(bad, jnp.nan, value), metrics

  monkeypatch.setattr(training, 'objective', broken)
  config = dataclasses.replace(RUN, log_every=100)
  with pytest.raises(runs.NonFiniteError, match='at step 4;'):
    runs.train_and_evaluate(config, tmp_path)
  assert runs.load_run(tmp_path).step == 2
  assert max(row['step'] for row in metrics_of(tmp_path)) == 2


def test_a_run_can_be_trained_longer(tmp_path):
  runs.train_and_evaluate(dataclasses.replace(RUN, steps=2), tmp_path)
  state = runs.train_and_evaluate(dataclasses.replace(RUN, steps=4), tmp_path)
  assert int(state.step) == 4
  steps = [
    row['step'] for row in metrics_of(tmp_path) if row['part'] == 'valid'
  ]
  assert steps == [2, 4]


@pytest.fixture(scope='module')
def interrupted(tmp_path_factory):
  """The workdir of a run killed once and resumed, in processes of its own."""
  folder = tmp_path_factory.mktemp('runs') / 'killed'
  values = {
    **tiny.FIELDS,
    'batch_size': 2,
    'episode_length': 2,
    'eval_every': 20,
    'log_every': 10,
    'eval_episodes': 2,
  }
  command = [
    sys.executable,
    ROOT / 'experiments' / 'train.py',
    f'--workdir={folder}',
    '--steps=300',
    *(f'--config.{name}={value}' for name, value in values.items()),
  ]
  environment = os.environ | {'PYTHONPATH': str(ROOT)}

  def start():
    return subprocess.Popen(
      command,
      cwd=folder.parent,
      env=environment,
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
    )

  with start() as process:
    deadline = time.monotonic() + 300
    while not (folder / 'checkpoints' / '20').is_dir():
      assert process.poll() is None, process.stdout.read()
      assert time.monotonic() < deadline
      time.sleep(0.005)
    time.sleep(random.uniform(0, 0.4))
    process.send_signal(signal.SIGKILL)
  assert process.returncode == -signal.SIGKILL
  with start() as process:
    output, _ = process.communicate(timeout=300)
  assert process.returncode == 0, output
  resumed = int(re.search(r'from step (\d+) to 300', output)[1])
  assert 20 <= resumed < 300
  return folder


@pytest.fixture(scope='module')
def whole(interrupted, tmp_path_factory):
  """(workdir, final state) of the same run without interruption."""
  folder = tmp_path_factory.mktemp('runs') / 'whole'
  config, _ = workdir.read_run(interrupted)
  return folder, runs.train_and_evaluate(config, folder)


def test_a_killed_and_resumed_run_ends_with_the_same_bits(interrupted, whole):
  _, state = whole
  resumed = recover(interrupted / 'checkpoints', state)
  assert int(resumed.step) == 300
  assert digest(resumed) == digest(state)
  assert_same_bits(resumed, state)


def test_a_killed_and_resumed_run_logs_every_step_once(interrupted, whole):
  folder, _ = whole

  def rows(folder, part):
    return [row for row in metrics_of(folder) if row['part'] == part]

  for part in ('train', 'valid'):
    steps = [row['step'] for row in rows(interrupted, part)]
    assert steps == sorted(set(steps))
    assert steps == [row['step'] for row in rows(folder, part)]
  assert rows(interrupted, 'valid') == rows(folder, 'valid')
