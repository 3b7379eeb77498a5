"""Runs the binaries, on data and fields small enough for a test."""

import os
import pathlib
import subprocess
import sys

import tiny

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
ENVIRONMENT = os.environ | {'PYTHONPATH': str(ROOT)}


def binary(name):
  return str(ROOT / 'experiments' / f'{name}.py')


def run(name, *arguments):
  """What a binary prints; it must succeed."""
  done = _call(name, arguments)
  assert done.returncode == 0, done.stderr
  return done.stdout


def refused(name, *arguments, expected):
  """Runs a binary that must fail with one line, which says `expected`."""
  done = _call(name, arguments)
  assert done.returncode == 2, done.stdout + done.stderr
  (line,) = done.stderr.strip().splitlines()
  assert expected in line


def _call(name, arguments):
  return subprocess.run(
    [sys.executable, binary(name), *map(str, arguments)],
    env=ENVIRONMENT,
    capture_output=True,
    text=True,
    timeout=500,
    check=False,
  )
