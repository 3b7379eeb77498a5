"""Times of things that take turns, so that all of them see the same machine."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence

Run = Callable[[], int]  # takes steps, waits, and returns how many

TURN = 0.5  # seconds after which it is the other's turn
PAUSE = 0.02  # seconds in which the idle threads of the other fall asleep
FEWEST = 3  # turns of each, however slow


@dataclasses.dataclass(frozen=True)
class Times:
  """Seconds of a step; where a run takes several, of each their mean."""

  median: float
  quartiles: tuple[float, float]
  runs: int

  @classmethod
  def of(cls, seconds: Sequence[float]) -> 'Times':
    low, median, high = statistics.quantiles(seconds, n=4, method='inclusive')
    return cls(median, (low, high), len(seconds))


def alternate(runs: Sequence[Run], seconds: float) -> list[Times]:
  """Times steps of each run, in turns, for about so many seconds in all."""
  for run in runs:
    run()  # the first step allocates
  taken = [[] for _ in runs]
  end = time.perf_counter() + seconds
  turns = 0
  while turns < FEWEST or time.perf_counter() < end:
    turns += 1
    for run, own in zip(runs, taken, strict=True):
      time.sleep(PAUSE)
      over = time.perf_counter() + TURN
      while True:
        start = time.perf_counter()
        steps = run()
        now = time.perf_counter()
        own.append((now - start) / steps)
        if now > over:
          break
  return [Times.of(own) for own in taken]
