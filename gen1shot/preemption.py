"""Preemptible machines send SIGTERM some seconds before they stop."""

import signal
import threading
from types import FrameType

from gen1shot import parallel

STATUS = 128 + signal.SIGTERM  # what a shell reports of a process it ended


class PreemptedError(Exception):
  """A run was told to stop, and has saved the step that it reached.

  Binaries print the message and exit with STATUS.
  """


class Notice:
  """Hears SIGTERM while it is open, instead of ending the process at once.

  A context manager. Only the main thread of a program can hear signals; in
  another one nothing is ever heard. For several hosts JAX hears it.
  """

  _given = False
  _asked = 0  # times, equally often on all hosts

  def given(self) -> bool:
    """Whether to stop now; all hosts must ask after the same steps."""
    self._asked += 1
    return parallel.all_stop_at(self._asked, self._given)

  def __enter__(self) -> 'Notice':
    main_thread = threading.current_thread() is threading.main_thread()
    self._hears = main_thread and not parallel.several_hosts()
    if self._hears:
      self._before = signal.signal(signal.SIGTERM, self._hear)
    return self

  def __exit__(self, *_: object) -> None:
    if self._hears:
      signal.signal(signal.SIGTERM, self._before)

  def _hear(self, number: int, frame: FrameType | None) -> None:
    del number, frame
    self._given = True
