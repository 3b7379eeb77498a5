"""What this process does with memory that it no longer needs."""

import ctypes
import os
import sys

# mallopt(3): the parameters by their numbers in malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
_NEVER = -1


def keep_memory() -> None:
  """Has malloc keep what is freed, instead of giving it back to the system.

  XLA on CPU allocates the temporaries of a step anew each time. glibc would get
  them from the kernel every time, which clears them page by page: a fifth of a
  training step. Kept, they are there after the first steps. One arena, because
  others cannot grow to such sizes.

  To be called before the backend starts. Nothing happens where the C library is
  not that of GNU, and where the user has told malloc what to do.
  """
  if not sys.platform.startswith('linux'):
    return
  if any(name.startswith(('MALLOC_', 'GLIBC_TUNABLES')) for name in os.environ):
    return
  mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
  if mallopt is None:
    return
  mallopt(_ARENA_MAX, 1)
  mallopt(_MMAP_MAX, 0)
  mallopt(_TRIM_THRESHOLD, _NEVER)
