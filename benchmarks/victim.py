"""A run of train.py so small that it can be stopped many times."""

import contextlib
import dataclasses
import io
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
from PIL import Image

from gen1shot import runs, workdir
from gen1shot.checkpoints import digest
from gen1shot.training import TrainState

STEPS, EVERY = 300, 10  # in all, and from one checkpoint to the next
_ROOT = pathlib.Path(__file__).parent.parent
_FLAGS = {
  'nets': 'dense',
  'width': 8,
  'encoder_depth': 1,
  'decoder_depth': 1,
  'features': 8,
  'hidden': 8,
  'mlp_depth': 1,
  'z_dim': 2,
  'layers': 1,
  'batch_size': 2,
  'episode_length': 2,
  'log_every': 1,
  'eval_every': EVERY,
  'eval_episodes': 2,
}
# A process is stopped after a line that it prints, a step is one, and a pause.
_LINES, _SECONDS = 60, 0.3
_STARTING = 5  # seconds; before its first step it prints nothing


@dataclasses.dataclass
class Stop:
  """A signal that a run was sent."""

  phase: str  # what the run was doing
  status: int  # of the process, as it ended
  lost: int = 0  # steps that were done again


class Victim:
  """A workdir, and the one command that starts its training and resumes it."""

  def __init__(self, folder: pathlib.Path, steps: int = STEPS):
    """In a folder of its own, with the data beside the workdir."""
    self.workdir = folder / 'run'
    data_dir = folder / 'images'
    if not data_dir.exists():
      _write_images(data_dir)
    self.flags = [
      '--model=vae',
      '--dataset=folder',
      f'--data_dir={data_dir}',
      f'--steps={steps}',
      *(f'--config.{name}={value}' for name, value in _FLAGS.items()),
    ]

  def start(self, *prefix: str) -> subprocess.Popen:
    """Starts train.py; `prefix` is Python code that runs before it."""
    return self._spawn('train', self.flags, *prefix)

  def ask(self, binary: str, *flags: str) -> subprocess.Popen:
    """Starts another binary on the workdir."""
    return self._spawn(binary, flags)

  def _spawn(self, name, flags, *prefix) -> subprocess.Popen:
    script = str(_ROOT / 'experiments' / f'{name}.py')
    code = (
      'import runpy, sys; sys.argv = sys.argv[1:]; '
      'sys.path.insert(0, sys.argv[0].rpartition("/")[0]); '
      f'{"; ".join([*prefix, ""])}'
      'runpy.run_path(sys.argv[0], run_name="__main__")'
    )
    start = ['-c', code, script] if prefix else [script]
    return subprocess.Popen(
      [sys.executable, *start, f'--workdir={self.workdir}', *flags],
      # Without the new start that keeps memory.
      env=os.environ | {'PYTHONPATH': str(_ROOT), 'GLIBC_TUNABLES': ''},
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
    )

  def finish(self, *prefix: str) -> int:
    """Goes on to the last step; returns the step that it went on from.

    Raises:
      AssertionError: the training did not end well.
    """
    return _first_step(succeed(self.start(*prefix)))

  def done(self) -> int:
    """The last step that was logged."""
    return max((row['step'] for row in self._rows()), default=0)

  def phase(self) -> str:
    """What a process was doing when it was killed."""
    saving = list(self.workdir.glob('checkpoints/*tmp*'))
    rows = self._rows()
    if saving:
      return 'saving'
    if not rows or rows[-1]['step'] % EVERY:
      return 'in a step'
    saved = self.workdir / 'checkpoints' / str(rows[-1]['step'])
    return 'in a step' if saved.exists() else 'validating or drawing'

  def state(self) -> TrainState:
    """The final state, of a training that has ended."""
    config, _ = workdir.read_run(self.workdir)
    with contextlib.redirect_stdout(io.StringIO()):
      return runs.train_and_evaluate(config, self.workdir)

  def outcome(self) -> tuple[str, list[dict[str, Any]]]:
    """Digest of the final state, and every validation."""
    valid = [row for row in self._rows() if row['part'] == 'valid']
    return digest(self.state()), valid

  def _rows(self) -> list[dict[str, Any]]:
    path = self.workdir / 'metrics.jsonl'
    lines = path.read_text().splitlines(True) if path.exists() else []
    # The last one may be cut short.
    return [json.loads(line) for line in lines if line.endswith('\n')]


def stop_often(
  victim: Victim,
  signals: Iterable[signal.Signals],
  rng: random.Random,
  early: float = 0.0,
) -> list[Stop]:
  """Sends signals at random moments of a run until it ends, and finishes it.

  Every process goes on from where the one before was stopped. A share of them,
  `early`, is stopped before its first step.
  """
  stops: list[Stop] = []
  # And the steps done before, of those since the last process that did one.
  pending: list[tuple[Stop, int]] = []

  def settle(resumed: int) -> None:
    for stop, done in pending:
      stop.lost = max(done - resumed, 0)
    pending.clear()

  for number in signals:
    process = victim.start()
    starting = rng.random() < early
    if starting:
      time.sleep(rng.uniform(0, _STARTING))
    else:
      settle(wait_for_steps(process, rng.randint(1, _LINES)))
      time.sleep(rng.uniform(0, _SECONDS))
    process.send_signal(number)
    process.communicate()
    if process.returncode == 0:
      break  # it was faster
    phase = 'starting' if starting else victim.phase()
    stops.append(Stop(phase, process.returncode))
    pending.append((stops[-1], victim.done()))
  settle(victim.finish())
  return stops


def wait_for_steps(process: subprocess.Popen, lines: int) -> int:
  """Reads on until a training has said so much of its steps.

  Returns:
    The step that it went on from.

  Raises:
    AssertionError: it ended before its first step.
  """
  output = ''
  for line in process.stdout or ():
    output += line
    lines -= line.startswith('step ')
    if lines <= 0:
      break
  return _first_step(output)


def _first_step(output: str) -> int:
  found = re.search(r'from step (\d+) to', output)
  if not found:
    raise AssertionError(output)
  return int(found[1])


def succeed(process: subprocess.Popen) -> str:
  """What a process prints until it ends, which must be well."""
  output, _ = process.communicate()
  if process.returncode:
    raise AssertionError(output)
  return output


def _write_images(folder: pathlib.Path) -> None:
  rng = np.random.default_rng(0)
  for number in range(10):
    (folder / str(number)).mkdir(parents=True)
    for exemplar in range(4):
      ink = rng.random((8, 8)) < 0.2
      image = Image.fromarray(np.where(ink, 0, 255).astype(np.uint8))
      image.save(folder / str(number) / f'{exemplar}.png')
