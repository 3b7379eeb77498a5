"""Where a benchmark ran, and where its figures go: a table, JSON, a plot."""

import datetime
import importlib.util
import json
import os
import pathlib
import platform
import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
from absl import flags

from experiments import figures
from gen1shot import files
from gen1shot.errors import InputError
from gen1shot.progress import say

FLAGS = flags.FLAGS
flags.DEFINE_string('out', 'benchmarks/results', 'folder of JSON and plot')

_WIDTH, _HEIGHT = 8.0, 5.0  # inches of a plot


def num_threads() -> int:
  return len(os.sched_getaffinity(0))


def device_slug() -> str:
  """`cpu-2-cores`, or what the accelerator calls itself, as a file name."""
  if jax.default_backend() == 'cpu':
    return f'cpu-{num_threads()}-cores'
  kind = jax.devices()[0].device_kind.lower()
  return re.sub('[^a-z0-9]+', '-', kind).strip('-')


def begin() -> dict[str, Any]:
  """Where and when: what a figure is worthless without. Said, and returned.

  Raises:
    InputError: there is no folder for the results, nor can one be made.
  """
  out = pathlib.Path(FLAGS.out).expanduser()
  try:
    out.mkdir(parents=True, exist_ok=True)
  except OSError as e:
    raise InputError(f'out must be a folder; got {FLAGS.out!r}: {e}') from e
  versions = {'python': platform.python_version(), 'jax': jax.__version__}
  if importlib.util.find_spec('torch'):
    import torch

    versions['torch'] = torch.__version__
  record = {
    'date': datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds'),
    'versions': versions,
    'device': jax.devices()[0].device_kind,
    'devices': jax.device_count(),
    'cpu': cpu_model(),
    'threads': num_threads(),
    'load_average': os.getloadavg(),
  }
  say(f'{record["cpu"]}, {record["threads"]} threads; {record["device"]}')
  say(f'load average at the start: {record["load_average"][0]:.2f}')
  return record


def cpu_model() -> str:
  info = pathlib.Path('/proc/cpuinfo')
  text = info.read_text() if info.exists() else ''
  found = re.search(r'model name\s*: (.*)', text)
  return found[1] if found else platform.processor()


def finish(
  name: str,
  record: dict[str, Any],
  rows: Sequence[dict[str, Any]],
  draw: Callable[[Any], None] | None = None,
) -> None:
  """Writes `<name>-<device>.json`, and a plot where matplotlib is installed.

  `draw(figure)` draws the rows on an empty figure of matplotlib, if they can be
  drawn.
  """
  out = pathlib.Path(FLAGS.out).expanduser()
  path = out / f'{name}-{device_slug()}.json'
  files.write_text(path, json.dumps(record | {'rows': rows}, indent=2) + '\n')
  say(f'written: {path}')
  if draw is None:
    return
  try:
    figure = figures.empty(_WIDTH, _HEIGHT)
  except InputError as e:
    say(f'not drawn: {e}')
    return
  draw(figure)
  figures.save(figure, path.with_suffix('.png'))
  say(f'written: {path.with_suffix(".png")}')
