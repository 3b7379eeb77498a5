"""Trainings that are killed, as `python -m benchmarks.faults` kills more."""

import json
import random
import signal

import pytest

from benchmarks.victim import EVERY, Victim, stop_often, wait_for_steps

STEPS = 120


@pytest.fixture(scope='module')
def expected(tmp_path_factory):
  """What becomes of a run that nothing befalls."""
  run = Victim(tmp_path_factory.mktemp('whole'), STEPS)
  assert run.finish() == 0
  return run.outcome()


def logged(run):
  lines = (run.workdir / 'metrics.jsonl').read_text().splitlines()
  return [(row['part'], row['step']) for row in map(json.loads, lines)]


def test_a_killed_run_goes_on_and_ends_with_the_same_bits(tmp_path, expected):
  """At other moments each time that the test is run."""
  run = Victim(tmp_path, STEPS)
  stops = stop_often(run, signal.SIGKILL, 2, random.Random())
  for stop in stops:
    assert stop.status == -signal.SIGKILL
    assert stop.lost <= EVERY
  assert run.outcome() == expected
  steps = [('train', step) for step in range(1, STEPS + 1)]
  steps += [('valid', step) for step in range(EVERY, STEPS + 1, EVERY)]
  assert sorted(logged(run)) == sorted(steps)


def test_a_preempted_run_says_so_and_loses_nothing(tmp_path, expected):
  run = Victim(tmp_path, STEPS)
  process = run.start()
  wait_for_steps(process, 13)
  # It holds the lock as long as it lives.
  process.send_signal(signal.SIGSTOP)
  second = run.start()
  output, _ = second.communicate()
  assert second.returncode == 2
  assert output.startswith('error: one process at a time')
  process.send_signal(signal.SIGTERM)
  process.send_signal(signal.SIGCONT)
  output, _ = process.communicate()
  assert process.returncode == 143, output
  reached = run.done()
  assert f'error: stopped by SIGTERM; step {reached} is saved' in output
  assert reached < STEPS
  assert run.finish() == reached
  assert run.outcome() == expected


def test_a_run_can_be_read_while_it_is_written(tmp_path, expected):
  run = Victim(tmp_path, STEPS)
  process = run.start()
  wait_for_steps(process, EVERY + 3)
  out = tmp_path / 'sheet.png'
  flags = ['--rows=1', '--shots=2', '--num_samples=1', f'--out={out}']
  sampling = run.ask('sample', *flags)
  output, _ = sampling.communicate()
  assert sampling.returncode == 0, output
  assert out.exists()
  process.communicate()
  assert process.returncode == 0
  assert run.outcome() == expected
