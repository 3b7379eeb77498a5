"""Where faults happen to a training, and how what became of it is counted."""

import dataclasses
import pathlib
import random
import shutil
import subprocess
import tempfile

from benchmarks.victim import STEPS, Victim, wait_for_steps


@dataclasses.dataclass
class Row:
  """A fault, and what became of the runs that it befell."""

  fault: str
  tried: int = 0
  survived: int = 0
  lost: int = 0  # steps, the most of all
  identical: int = 0  # in the end

  def add(self, lost: int, identical: bool) -> None:
    """Another try, which was survived."""
    self.tried += 1
    self.survived += 1
    self.lost = max(self.lost, lost)
    self.identical += identical


class Ground:
  """Where faults happen: an undisturbed run, and copies of a half done one."""

  def __init__(self, root: pathlib.Path):
    self._root = root
    self.rng = random.Random(0)
    whole = self.new()
    whole.finish()
    self.state = whole.state()
    self._expected = whole.outcome()
    self._half = self.new()
    process = self._half.start()
    wait_for_steps(process, STEPS // 2)
    process.kill()
    process.communicate()

  def folder(self) -> pathlib.Path:
    return pathlib.Path(tempfile.mkdtemp(dir=self._root))

  def new(self) -> Victim:
    return Victim(self.folder())

  def half(self, folder: pathlib.Path | None = None) -> Victim:
    made = Victim(folder or self.folder())
    shutil.copytree(self._half.workdir, made.workdir)
    return made

  def same(self, run: Victim) -> bool:
    """Whether a run has ended as the undisturbed one did."""
    return run.outcome() == self._expected

  def finish(self, row: Row, run: Victim, *prefix: str) -> None:
    """Goes on to the end, and adds what came of it."""
    done = run.done()
    row.add(done - run.finish(*prefix), self.same(run))


def check(holds: bool, message: str) -> None:
  """Raises AssertionError, with the message, unless it holds."""
  if not holds:
    raise AssertionError(message)


def refused(process: subprocess.Popen, reason: str) -> None:
  """A process must end with one line of error, which names the reason."""
  output, _ = process.communicate()
  errors = [line for line in output.splitlines() if line.startswith('error: ')]
  check(
    process.returncode == 2
    and len(errors) == 1
    and reason in errors[0]
    and 'Traceback' not in output,
    output,
  )
