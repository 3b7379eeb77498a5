"""What a run tells the person who waits for it."""

import time

import jax


def say(text: str) -> None:
  """One line on standard output, now."""
  print(text, flush=True)


def device_name() -> str:
  """What this process runs on, such as '2 x NVIDIA H200'."""
  devices = jax.local_devices()
  return f'{len(devices)} x {devices[0].device_kind}'


class Progress:
  """Rate and remaining time of a loop over steps."""

  def __init__(self, step: int, last_step: int):
    self._last_step = last_step
    self._step, self._time = step, time.monotonic()

  def report(self, step: int, bound: float) -> None:
    """Says where the loop stands; `bound` is of the training batch, in nats."""
    now = time.monotonic()
    rate = (step - self._step) / (now - self._time)
    left = int((self._last_step - step) / rate)
    say(
      f'step {step}/{self._last_step}  bound {bound:.2f} nats/object  '
      f'{rate:.1f} steps/s  ETA {left // 60}:{left % 60:02d}'
    )
    self._step, self._time = step, now
