"""What a run leaves behind: its configuration, and its rows of metrics."""

import contextlib
import dataclasses
import json
import os
import pathlib
from collections.abc import Collection
from typing import Any

from gen1shot import checkpoints, lock, parallel, zoo
from gen1shot.config import Config
from gen1shot.data.vocabulary import Vocabulary
from gen1shot.errors import InputError
from gen1shot.files import read_text, write_text

# Fields that may change when a run goes on: it trains longer, from files that
# have moved.
_MAY_CHANGE = ('steps', 'data_dir')
_MOST_BYTES = 2**24  # of a JSON file; a vocabulary of 10,000 words has 300,000
KINDS = ('images', 'vectors', 'words')  # of objects
_MOST_METRICS = 10**8  # bytes, of hundreds of thousands of rows
# What there may be when the start of a run was killed, also with .tmp.
_STARTING = (lock.NAME, 'vocabulary.json', 'data.json', 'config.json')


@dataclasses.dataclass(frozen=True)
class Data:
  """What a run remembers of its data set."""

  fingerprint: str  # of the parts
  kind: str  # one of KINDS
  object_shape: tuple[int, ...]

  def to_json(self) -> str:
    return json.dumps(dataclasses.asdict(self)) + '\n'

  @classmethod
  def from_json(cls, text: str) -> 'Data':
    """Raises InputError when the text is not what `to_json` wrote."""
    with contextlib.suppress(ValueError, RecursionError, KeyError, TypeError):
      return cls.from_fields(json.loads(text))
    raise InputError(
      'data.json must hold the fingerprint, the kind and the object_shape of '
      f'data; got {text[:40]!r}'
    )

  @classmethod
  def from_fields(cls, values: dict[str, Any]) -> 'Data':
    """Raises ValueError, KeyError or TypeError unless they are such fields."""
    shape = tuple(values['object_shape'])
    if not all(type(n) is int and 0 < n < 2**31 for n in shape):
      raise ValueError('object_shape must be sizes')
    fingerprint, kind = values['fingerprint'], values['kind']
    if type(fingerprint) is not str or kind not in KINDS:
      raise ValueError(f'fingerprint must be text, kind one of {KINDS}')
    return cls(fingerprint, kind, shape)


Run = tuple[Config, Data]  # what a run is, and of what data


def check_run(
  folder: pathlib.Path,
  config: Config,
  data: Data,
  resume: bool,
  start: str | None = None,
) -> None:
  """Checks that this run may start, or go on, in a folder; writes nothing.

  Args:
    folder: the workdir, which need not exist.
    config: of this run.
    data: of this run.
    resume: whether a run found in the folder is continued.
    start: what it would go on from; None if from nothing, or as it began.

  Raises:
    InputError: the folder holds another run, or one that must not go on.
  """
  if folder.exists() and not folder.is_dir():
    raise InputError(f'workdir must be a folder; got the file {folder}')
  if (folder / 'config.json').exists():
    if not resume:
      raise InputError(
        f'--noresume needs a workdir without a run; {folder} holds one'
      )
    # Before the first checkpoint there is nothing to go on with.
    if has_begun(folder):
      _check_same(folder, config, data, start)
  elif folder.exists() and any(
    path.name.removesuffix('.tmp') not in _STARTING for path in folder.iterdir()
  ):
    raise InputError(
      'workdir must be new, empty, or hold a run with its config.json; '
      f'got {folder}'
    )


def has_begun(folder: pathlib.Path) -> bool:
  """Whether the run in a folder has saved a checkpoint."""
  return bool(checkpoints.newest_first(folder / 'checkpoints'))


def write_run(
  folder: pathlib.Path,
  config: Config,
  data: Data,
  vocabulary: Vocabulary | None = None,
) -> None:
  """Writes config.json, data.json and, of words, vocabulary.json."""
  if vocabulary is not None:
    write_text(folder / 'vocabulary.json', vocabulary.to_json() + '\n')
  # The configuration last: a folder that has it has both.
  write_text(folder / 'data.json', data.to_json())
  write_text(folder / 'config.json', config.to_json())


def read_run(folder: pathlib.Path) -> tuple[Config, Data]:
  """The configuration of a run, and what it remembers of its data.

  Raises:
    InputError: there is no run in the folder.
  """
  for name in ('config.json', 'data.json'):
    if not (folder / name).is_file():
      raise InputError(
        'workdir must hold a run (config.json and data.json); got '
        f'{folder} without {name}'
      )
  config = Config.from_json(read_text(folder / 'config.json', _MOST_BYTES))
  return config, Data.from_json(read_text(folder / 'data.json', _MOST_BYTES))


def read_vocabulary(folder: pathlib.Path) -> Vocabulary:
  """The vocabulary of a run on words.

  Raises:
    InputError: there is none, or it is damaged.
  """
  return Vocabulary.from_json(
    read_text(folder / 'vocabulary.json', _MOST_BYTES)
  )


def inherit_metrics(start: pathlib.Path, folder: pathlib.Path) -> None:
  """Copies the rows of the run that another goes on from."""
  text = read_text(start / 'metrics.jsonl', _MOST_METRICS)
  write_text(folder / 'metrics.jsonl', text)


def write_start(folder: pathlib.Path, start: str | None) -> None:
  """Remembers what a run goes on from; None if from nothing."""
  write_text(folder / 'start.json', json.dumps({'start': start}) + '\n')


def read_start(folder: pathlib.Path) -> str | None:
  """What the run in a folder has gone on from; None if from nothing."""
  path = folder / 'start.json'
  if not path.exists():
    return None
  text = read_text(path, _MOST_BYTES)
  with contextlib.suppress(ValueError, RecursionError, KeyError, TypeError):
    start = json.loads(text)['start']
    if start is None or type(start) is str:
      return start
  raise InputError(f'{path} must say what a run began with; got {text[:40]!r}')


def _check_same(
  folder: pathlib.Path, config: Config, data: Data, start: str | None
) -> None:
  differing = differences(read_run(folder), (config, data), _MAY_CHANGE)
  if differing:
    raise InputError(
      f'{folder} holds another run: {differing}; take another workdir or the '
      'same fields'
    )
  began = read_start(folder)
  if start not in (None, began):
    raise InputError(
      f'{folder} holds a run that began '
      f'{f"with {began}" if began else "from nothing"}; got {start}; take '
      'another workdir'
    )


def differences(old: Run, new: Run, may_change: Collection[str]) -> str:
  """Which fields of two runs differ that may not, and how; '' if none do."""
  was, now = _fields(*old), _fields(*new)
  return '; '.join(
    f'{name} was {was.get(name)}, is {now.get(name)}'
    for name in sorted(was.keys() | now.keys())
    if was.get(name) != now.get(name) and name not in may_change
  )


def _fields(config: Config, data: Data) -> dict[str, Any]:
  """All that is to be compared; the fields of the module one by one, too.

  Those that are newer than a run have their defaults, as when it is loaded.
  """
  values = dataclasses.asdict(config) | dataclasses.asdict(data)
  fields = values.pop('fields')
  return values | zoo.module_fields(config.model, config.preset, fields)


class MetricsLog:
  """metrics.jsonl, and TensorBoard events where tensorboardX is installed."""

  def __init__(self, folder: pathlib.Path):
    self._path = folder / 'metrics.jsonl'
    self._events = None
    if not parallel.is_first():
      return
    try:
      from tensorboardX import SummaryWriter
    except ImportError:
      return
    self._events = SummaryWriter(str(folder))

  def __enter__(self) -> 'MetricsLog':
    return self

  def __exit__(self, *_: object) -> None:
    if self._events is not None:
      # A disk that is full has been told of where it mattered.
      with contextlib.suppress(OSError):
        self._events.close()

  def forget_after(self, step: int) -> None:
    """Drops the rows of later steps, which are about to be done again."""
    if self._path.exists():
      lines = self._path.read_text('utf-8').splitlines(keepends=True)
      write_text(
        self._path, ''.join(line for line in lines if _step_of(line) <= step)
      )

  def write(self, step: int, part: str, metrics: dict[str, float]) -> None:
    """One row; `part` is train or valid. Of several hosts the first writes.

    Raises:
      InputError: the file cannot be written.
    """
    if not parallel.is_first():
      return
    row: dict[str, Any] = {'step': step, 'part': part, **metrics}
    try:
      with self._path.open('a', encoding='utf-8') as file:
        file.write(json.dumps(row) + '\n')
        file.flush()
        os.fsync(file.fileno())
    except OSError as e:
      raise InputError(
        f'{self._path} must be a file that can be written: {e}'
      ) from e
    if self._events is not None:
      for name, value in metrics.items():
        self._events.add_scalar(f'{part}/{name}', value, step)


def read_metrics(folder: pathlib.Path) -> list[dict[str, Any]]:
  """The rows of metrics.jsonl, in the order of their steps.

  A row that is being written, or that a kill cut short, is left out.

  Raises:
    InputError: there is no such file, or it cannot be read.
  """
  lines = read_text(folder / 'metrics.jsonl', _MOST_METRICS).splitlines()
  return [json.loads(line) for line in lines if _step_of(line) < float('inf')]


def _step_of(line: str) -> float:
  """The step of a row; a row that a kill cut short counts as never written."""
  try:
    return json.loads(line)['step']
  except (json.JSONDecodeError, KeyError, TypeError):
    return float('inf')
