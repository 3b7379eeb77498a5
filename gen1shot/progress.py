"""What a run tells the person who waits for it."""

import datetime
import time

import jax

from gen1shot import parallel


def say(text: str) -> None:
  """One line on standard output, now; of several hosts the first talks."""
  if parallel.is_first():
    print(text, flush=True)


def device_name() -> str:
  """What computes, such as '2 x NVIDIA H200'."""
  devices = jax.devices()
  return f'{len(devices)} x {devices[0].device_kind}'


class Progress:
  """Rate and remaining time of a loop over steps."""

  def __init__(self, step: int, last_step: int):
    self._last_step = last_step
    self._step, self._time = step, time.monotonic()

  def report(self, step: int, bound: float) -> None:
    """Says where the loop stands; `bound` is of the training batch, in nats."""
    line = f'step {step}/{self._last_step}  bound {bound:.2f} nats/object'
    now = time.monotonic()
    if step > self._step:
      rate = (step - self._step) / (now - self._time)
      left = datetime.timedelta(seconds=int((self._last_step - step) / rate))
      line += f'  {rate:.1f} steps/s  {left} left'
    say(line)
    self._step, self._time = step, now

  def report_first(self, step: int) -> None:
    """Says how long the first program took, most of it compilation."""
    now = time.monotonic()
    say(f'step {step}/{self._last_step}  compiled in {now - self._time:.1f} s')
    self._step, self._time = step, now
