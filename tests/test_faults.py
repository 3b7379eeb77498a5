"""Trainings that are stopped, as `python -m benchmarks.faults` stops more."""

import json
import random
import signal

from benchmarks.victim import EVERY, Victim, stop_often

STEPS = 200


def logged(run):
  lines = (run.workdir / 'metrics.jsonl').read_text().splitlines()
  return sorted((row['part'], row['step']) for row in map(json.loads, lines))


def test_a_run_that_is_stopped_goes_on_and_ends_with_the_same_bits(tmp_path):
  """At other moments each time that the test is run."""
  whole = Victim(tmp_path / 'whole', STEPS)
  assert whole.finish() == 0
  run = Victim(tmp_path / 'stopped', STEPS)
  signals = [signal.SIGKILL, signal.SIGTERM, signal.SIGKILL]
  stops = stop_often(run, signals, random.Random())
  assert stops
  for number, stop in zip(signals, stops, strict=False):
    killed = number == signal.SIGKILL
    assert stop.status == (-signal.SIGKILL if killed else 143)
    assert stop.lost <= (EVERY if killed else 0)
  assert run.outcome() == whole.outcome()
  assert logged(run) == logged(whole)
