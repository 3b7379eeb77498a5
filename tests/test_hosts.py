"""Several processes train as one does."""

import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import binaries
import jax
import numpy as np
import pytest
import tiny
from tiny import rows_of

from gen1shot import parallel, runs
from gen1shot.errors import InputError

ROOT = pathlib.Path(__file__).parent.parent
VALUES = tiny.FIELDS | {
  'batch_size': 3,  # one process has two episodes, and one that is repeated
  'episode_length': 2,
  'eval_every': 4,
  'log_every': 2,
  'eval_episodes': 3,
}


def start(folder, *flags, steps=6, at_once=1):
  """A training in a process of its own, with so many steps a program."""
  script = ROOT / 'experiments' / 'train.py'
  code = (
    f'import runpy, sys; sys.argv[0] = {str(script)!r}; '
    f'sys.path.insert(0, {str(script.parent)!r}); '
    'from gen1shot import compilation; '
    f'compilation.steps_at_once = lambda _, most: min({at_once}, most); '
    'runpy.run_path(sys.argv[0], run_name="__main__")'
  )
  return subprocess.Popen(
    [
      sys.executable,
      '-c',
      code,
      f'--workdir={folder}',
      f'--steps={steps}',
      *(f'--config.{name}={value}' for name, value in VALUES.items()),
      *flags,
    ],
    cwd=folder.parent,
    env=binaries.ENVIRONMENT,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  )


def finish(*processes):
  """What they say; whatever happens, none is left behind."""
  try:
    said = [process.communicate(timeout=300)[0] for process in processes]
  finally:
    for process in processes:
      process.kill()
  for process, text in zip(processes, said, strict=True):
    assert process.returncode == 0, text
  return said


def start_two(folder, **kwargs):
  with socket.socket() as free:
    free.bind(('127.0.0.1', 0))
    port = free.getsockname()[1]
  flags = (f'--coordinator=127.0.0.1:{port}', '--processes=2')
  return [start(folder, *flags, f'--process={i}', **kwargs) for i in range(2)]


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  """Workdirs of one process and of two, and what each process said."""
  alone = tmp_path_factory.mktemp('hosts') / 'alone'
  together = alone.parent / 'together'
  said = finish(start(alone), *start_two(together))
  return alone, together, said


def test_two_processes_end_with_the_parameters_of_one(trained):
  alone, together, _ = trained
  expected, found = (runs.load_run(path) for path in (alone, together))
  assert found.step == expected.step
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=2e-4),
    found.params,
    expected.params,
  )


def test_one_process_of_two_writes_and_talks(trained):
  alone, together, (_, first, second) = trained
  assert [row['step'] for row in rows_of(together)] == [
    row['step'] for row in rows_of(alone)
  ]
  for row, other in zip(rows_of(together), rows_of(alone), strict=True):
    assert row['bound'] == pytest.approx(other['bound'], rel=1e-4)
  assert 'on 2 x cpu' in first
  assert 'step 6/6' in first
  assert 'step' not in second


def test_two_processes_go_on_where_two_have_been(trained):
  _, together, _ = trained
  first, _ = finish(*start_two(together))
  assert 'from step 6 to 6' in first


def test_two_processes_stop_together_where_one_is_told_to(trained):
  """Both save the step that they agree on; programs are of two steps."""
  _, together, _ = trained
  folder = together.parent / 'stopped'
  processes = start_two(folder, steps=100_000, at_once=2)
  try:
    while not (folder / 'checkpoints' / '4').is_dir():
      assert all(process.poll() is None for process in processes)
      time.sleep(0.05)
    processes[1].send_signal(signal.SIGTERM)
    said = [process.communicate(timeout=120)[0] for process in processes]
  finally:
    for process in processes:
      process.kill()
  assert [process.returncode for process in processes] == [143, 143], said
  steps = {re.search(r'step (\d+) is saved', text)[1] for text in said}
  assert len(steps) == 1
  assert (folder / 'checkpoints' / steps.pop()).is_dir()


@pytest.mark.parametrize(
  'arguments',
  [
    ('localhost', 2, 0),
    (':1', 2, 0),
    ('localhost:', 2, 0),
    ('localhost:abc', 2, 0),
    ('localhost:65536', 2, 0),
    ('localhost:1', None, 0),
    ('localhost:1', 2, None),
    ('localhost:1', 2, 2),
    ('localhost:1', 2, -1),
    ('auto', 2, None),
    (None, None, 0),
  ],
)
def test_hosts_that_cannot_be_joined(arguments):
  with pytest.raises(InputError, match='coordinator must be host:port'):
    parallel.join_hosts(*arguments)
