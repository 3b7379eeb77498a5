"""How long one waits for a training to begin.

  python -m benchmarks.startup
  python -m benchmarks.startup --models=gmn --repeats=5

From the start of a process, fresh each time, until it has imported something,
or until `experiments/train.py` has taken its first step: with an empty folder
for compiled programs (cold), then with what that run has left there (warm).
Medians.
"""

import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags

from benchmarks import report
from gen1shot import commandline, zoo
from gen1shot.errors import check_choice
from gen1shot.progress import say

FLAGS = flags.FLAGS
flags.DEFINE_list('models', ['statistician', 'draw'], 'names of the zoo')
flags.DEFINE_integer('repeats', 3, 'of each figure', lower_bound=1)

ROOT = pathlib.Path(__file__).parent.parent
IMPORTS = {
  'python': 'pass',
  'import jax': 'import jax',
  'import gen1shot.runs': 'import gen1shot.runs',
}


def seconds_to(
  pattern: str,
  command: Sequence[str],
  environment: Mapping[str, str],
) -> float:
  """Until a process prints a line that matches; then it is stopped.

  Raises:
    RuntimeError: it ended before.
  """
  start = time.perf_counter()
  with subprocess.Popen(
    command,
    env={**os.environ, 'PYTHONPATH': str(ROOT), **environment},
    stdout=subprocess.PIPE,
    text=True,
  ) as process:
    for line in process.stdout:
      if re.search(pattern, line):
        taken = time.perf_counter() - start
        process.kill()
        return taken
  raise RuntimeError(f'{" ".join(command)} printed no line with {pattern!r}')


def importing(statement: str) -> float:
  code = f'{statement}\nprint("done", flush=True)'
  return seconds_to('done', [sys.executable, '-c', code], {})


def first_step(model: str, cache: str) -> float:
  with tempfile.TemporaryDirectory() as workdir:
    command = [
      sys.executable,
      str(ROOT / 'experiments' / 'train.py'),
      f'--model={model}',
      f'--workdir={workdir}/run',
      '--steps=1',
    ]
    environment = {'JAX_COMPILATION_CACHE_DIR': cache}
    return seconds_to('compiled in', command, environment)


def measure_imports() -> list[dict[str, Any]]:
  taken = {name: [] for name in IMPORTS}
  for _ in range(FLAGS.repeats):
    for name, statement in IMPORTS.items():
      taken[name].append(importing(statement))
  return [row(name, seconds) for name, seconds in taken.items()]


def measure_first_step(model: str) -> list[dict[str, Any]]:
  cold, warm = [], []
  for _ in range(FLAGS.repeats):
    with tempfile.TemporaryDirectory() as cache:
      cold.append(first_step(model, cache))
      warm.append(first_step(model, cache))
  return [
    row(f'{model}, first step, {name}', seconds)
    for name, seconds in (('cold', cold), ('warm', warm))
  ]


def row(name: str, seconds: Sequence[float]) -> dict[str, Any]:
  median = statistics.median(seconds)
  say(f'{name:36} {median:6.2f} s  ({min(seconds):.2f} to {max(seconds):.2f})')
  return {'until': name, 'median': median, 'seconds': seconds}


def draw(figure: Any, rows: Sequence[dict[str, Any]]) -> None:
  panel = figure.add_subplot(xlabel='seconds')
  panel.barh([row['until'] for row in rows], [row['median'] for row in rows])
  panel.invert_yaxis()


def main() -> None:
  for model in FLAGS.models:
    check_choice('models', model, zoo.ZOO)
  record = report.begin()
  rows = measure_imports()
  for model in FLAGS.models:
    rows += measure_first_step(model)
  report.finish('startup', record, rows, lambda figure: draw(figure, rows))


if __name__ == '__main__':
  commandline.run(main)
