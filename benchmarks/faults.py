"""Does to a training what happens to trainings, and counts what is lost.

  python -m benchmarks.faults

Every fault befalls a real run of train.py, which has to go on with the same
command and to end with the bits of a run that nothing befell. Several trials of
one run share its end; those of each file of a checkpoint compare what is
recovered. `lost` is the number of steps that were done again, at most; a
checkpoint is saved every 10.
Faults of the disk need the right to mount one, and are left out without it.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator

from absl import flags

from benchmarks import report, victim
from benchmarks.ground import Ground, Row, check, refused
from benchmarks.victim import EVERY, STEPS, succeed, wait_for_steps
from gen1shot import checkpoints, commandline, compilation, runs
from gen1shot.checkpoints import digest

FLAGS = flags.FLAGS
flags.DEFINE_integer('kills', 50, 'SIGKILLs', lower_bound=1)

_A_RUN = 10  # kills of it, at most
_EARLY = 0.1  # share of them before the first step
_DAY = 24 * 60 * 60  # seconds


def sigkill(ground: Ground) -> Iterator[Row]:
  rows: dict[str, Row] = {}
  left = FLAGS.kills
  while left:
    run = ground.new()
    signals = [signal.SIGKILL] * min(left, _A_RUN)
    stops = victim.stop_often(run, signals, ground.rng, _EARLY)
    left -= len(stops)
    same = ground.same(run)
    for stop in stops:
      row = rows.setdefault(stop.phase, Row(f'SIGKILL {stop.phase}'))
      row.add(stop.lost, same)
  yield from rows.values()


def sigterm(ground: Ground) -> Iterator[Row]:
  row = Row('SIGTERM, exit status 143')
  run = ground.new()
  stops = victim.stop_often(run, [signal.SIGTERM] * 5, ground.rng)
  same = ground.same(run)
  for stop in stops:
    check(stop.status == 143, str(stop))
    row.add(stop.lost, same)
  yield row


def _flip(path: pathlib.Path) -> None:
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 1
  path.write_bytes(content)


DAMAGES: dict[str, Callable[[pathlib.Path], object]] = {
  'bit flipped': _flip,
  'truncated': lambda path: os.truncate(path, path.stat().st_size // 2),
  'emptied': lambda path: os.truncate(path, 0),
  'deleted': lambda path: path.unlink(),
}


def damage(ground: Ground) -> Iterator[Row]:
  """Every file of the newest checkpoint in turn, and a run that goes on."""
  half = ground.half().workdir / 'checkpoints'
  steps = sorted(int(path.name) for path in half.glob('[0-9]*[0-9]'))
  newest = half / str(steps[-1])
  files = [path for path in newest.rglob('*') if path.is_file()]
  lost_by = {digest(checkpoints.recover(half, ground.state)): 0}
  before = ground.folder() / 'checkpoints'
  shutil.copytree(half, before)
  shutil.rmtree(before / newest.name)
  lost_by[digest(checkpoints.recover(before, ground.state))] = EVERY
  for name, damaged in DAMAGES.items():
    row = Row(f'newest checkpoint, each file {name}')
    for file in files:
      copy = ground.folder() / 'checkpoints'
      shutil.copytree(half, copy)
      damaged(copy / file.relative_to(half))
      found = digest(checkpoints.recover(copy, ground.state))
      row.add(lost_by.get(found, 0), found in lost_by)
    yield row
  row = Row('newest checkpoint, its data damaged, run to the end')
  for damaged in DAMAGES.values():
    run = ground.half()
    copy = run.workdir / 'checkpoints' / newest.name
    damaged(max(copy.glob('state/d/*'), key=lambda path: path.stat().st_size))
    ground.finish(row, run)
  yield row


def unfinished(ground: Ground) -> Iterator[Row]:
  row = Row('unfinished directories of checkpoints')
  run = ground.half()
  (run.workdir / 'checkpoints' / str(STEPS)).mkdir()
  (run.workdir / 'checkpoints' / f'{STEPS}.orbax-checkpoint-tmp').mkdir()
  ground.finish(row, run)
  yield row


def disk(ground: Ground) -> Iterator[Row]:
  row = Row('disk full')
  for left in (0, 20_000, 60_000, 90_000):  # bytes
    with _mounted(ground.folder(), 'size=20m') as folder:
      run = ground.half(folder)
      filler = folder / 'filler'
      filler.write_bytes(bytes(shutil.disk_usage(folder).free - left))
      refused(run.start(), 'No space left')
      filler.unlink()
      ground.finish(row, run)
  yield row
  row = Row('workdir read-only')
  with _mounted(ground.folder(), 'size=20m') as folder:
    run = ground.half(folder)
    _remount(folder, 'ro')
    refused(run.start(), 'Read-only file system')
    refused(run.ask('evaluate', *_QUICK), 'Read-only file system')
    _remount(folder, 'rw')
    ground.finish(row, run)
  yield row


def second_process(ground: Ground) -> Iterator[Row]:
  row = Row('second process on a workdir, refused')
  run = ground.half()
  done = run.done()
  first = run.start()
  resumed = wait_for_steps(first, 1)
  first.send_signal(signal.SIGSTOP)
  refused(run.start(), 'one process at a time')
  first.send_signal(signal.SIGCONT)
  succeed(first)
  row.add(done - resumed, ground.same(run))
  yield row


def clock(ground: Ground) -> Iterator[Row]:
  row = Row('clock moved back by a day')
  run = ground.half()
  for path in run.workdir.rglob('*'):
    later = path.stat().st_mtime + _DAY
    os.utime(path, (later, later))
  back = (
    'import time; now, ns = time.time, time.time_ns; '
    f'time.time = lambda: now() - {_DAY}; '
    f'time.time_ns = lambda: ns() - {_DAY} * 10**9'
  )
  ground.finish(row, run, back)
  yield row


def versions(ground: Ground) -> Iterator[Row]:
  newer = Row('config.json of a newer version, or wrong: refused')
  older = Row('config.json of an older version, without a field')
  run = ground.half()
  path = run.workdir / 'config.json'
  fields = json.loads(path.read_text())
  wrong = {'widht': 8, 'steps': 'many', 'gradient': 'drag'}
  for field, value in wrong.items():
    path.write_text(json.dumps(fields | {field: value}))
    refused(run.start(), field)
  del fields['free_bits']
  path.write_text(json.dumps(fields))
  ground.finish(older, run)
  for _ in wrong:
    newer.add(older.lost, bool(older.identical))
  yield from (newer, older)


_QUICK = (
  '--tasks=likelihood',
  '--length=2',
  '--num_samples=2',
  '--episodes=2',
)


def readers(ground: Ground) -> Iterator[Row]:
  row = Row('evaluate.py and sample.py while it trains')
  run = ground.half()
  done = run.done()
  training = run.start()
  resumed = wait_for_steps(training, 1)
  out = run.workdir.parent / 'sheet.png'
  asked = [
    run.ask('evaluate', *_QUICK),
    run.ask('sample', '--rows=1', '--shots=2', f'--out={out}'),
  ]
  for process in asked:
    succeed(process)
  succeed(training)
  same = ground.same(run)
  for _ in asked:
    row.add(done - resumed, same)
  yield row
  row = Row('load_run while it trains')
  run = ground.half()
  done = run.done()
  training = run.start()
  resumed = wait_for_steps(training, 1)
  loaded = 0
  while training.poll() is None:
    runs.load_run(run.workdir)
    loaded += 1
  succeed(training)
  same = ground.same(run)
  for _ in range(loaded):
    row.add(done - resumed, same)
  yield row


def evaluation(ground: Ground) -> Iterator[Row]:
  row = Row('SIGKILL of evaluate.py')
  run = ground.half()
  results = run.workdir / 'results' / 'likelihood.json'
  for _ in range(5):
    process = run.ask('evaluate', *_QUICK)
    with contextlib.suppress(subprocess.TimeoutExpired):
      process.wait(ground.rng.uniform(4, 12))
    process.kill()
    process.communicate()
    if results.exists():
      json.loads(results.read_text())  # whole, or not there
    if process.returncode == -signal.SIGKILL:  # else it was done before
      row.add(0, True)
  done = run.done()
  resumed = run.finish()
  row.lost = done - resumed
  row.identical *= ground.same(run)
  yield row


@contextlib.contextmanager
def _mounted(folder: pathlib.Path, options: str) -> Iterator[pathlib.Path]:
  """A disk of its own."""
  command = ['mount', '-t', 'tmpfs', '-o', options, 'faults', str(folder)]
  subprocess.run(command, check=True, capture_output=True)
  try:
    yield folder
  finally:
    subprocess.run(['umount', str(folder)], check=True)


def _remount(folder: pathlib.Path, options: str) -> None:
  command = ['mount', '-o', f'remount,{options}', str(folder)]
  subprocess.run(command, check=True)


FAULTS = (
  sigkill,
  sigterm,
  damage,
  unfinished,
  disk,
  second_process,
  clock,
  versions,
  readers,
  evaluation,
)
HEADER = f'{"fault":52} {"tried":>6} {"survived":>9} {"lost":>5} identical'


def line(row: Row) -> str:
  return (
    f'{row.fault:52} {row.tried:6} {row.survived:9} {row.lost:5} '
    f'{row.identical:9}'
  )


def main() -> None:
  compilation.enable_cache()
  record = report.begin()
  rows = []
  with tempfile.TemporaryDirectory() as root:
    ground = Ground(pathlib.Path(root))
    print(HEADER, flush=True)
    for fault in FAULTS:
      try:
        for row in fault(ground):
          rows.append(row)
          print(line(row), flush=True)
      except AssertionError as e:
        rows.append(Row(fault.__name__, tried=1))
        print(f'{line(rows[-1])}\n{e}', flush=True)
      except subprocess.CalledProcessError:
        print(f'{fault.__name__}: left out, no disk may be mounted here')
  record['every'] = EVERY
  report.finish('faults', record, [dataclasses.asdict(row) for row in rows])


if __name__ == '__main__':
  commandline.run(main)
