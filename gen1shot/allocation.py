"""What this process does with memory that it no longer needs."""

import ctypes
import sys

# mallopt(3): the parameters by their numbers in malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_LARGEST = 2**31 - 1  # bytes; mallopt takes an int


def keep_memory() -> None:
  """Has malloc keep what is freed, instead of giving it back to the system.

  XLA on CPU allocates the temporaries of a step anew each time. glibc would get
  them from the kernel every time, which clears them page by page: an eighth of
  a training step, and more without huge pages. Kept, they are there after the
  first steps. One arena, because others cannot grow to such sizes.

  To be called before the backend starts. Nothing happens where the C library is
  not that of GNU.
  """
  if not sys.platform.startswith('linux'):
    return
  mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
  if mallopt is None:
    return
  mallopt(_ARENA_MAX, 1)
  mallopt(_MMAP_THRESHOLD, _LARGEST)
  mallopt(_TRIM_THRESHOLD, _LARGEST)
