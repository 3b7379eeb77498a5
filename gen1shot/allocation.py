"""How this process gets memory from the operating system."""

import os
import sys

_TUNABLES = 'GLIBC_TUNABLES'
_SETTINGS = {
  'hugetlb': 1,  # huge pages, where Linux wants to be asked for them
  'mmap_max': 0,  # large arrays come from heaps, too, which
  'trim_threshold': 2**40,  # keep what is freed
  'top_pad': 2**26,  # grow at once, by huge pages, and of threads stay if empty
}
_KEPT = ':'.join(f'glibc.malloc.{name}={x}' for name, x in _SETTINGS.items())
# Bytes of a block that a thread keeps: a heap of 64 MiB less what glibc notes.
LARGEST = 2**26 - 2**16


def keep_memory() -> None:
  """Starts the program again with a malloc that keeps memory, in huge pages.

  XLA on CPU allocates the temporaries of each step anew. glibc gets large ones
  from the kernel, which clears their pages, and gives them back at once: a
  tenth of a training step, and a fifth with pages of 4 KiB. Threads keep the
  blocks of up to `LARGEST` that they have freed, for as long as the process
  lives, and take larger ones anew. glibc reads its settings when a process
  starts, hence the new start, in the same process and with the same arguments.

  Nothing happens elsewhere than on Linux, and where the user has set
  GLIBC_TUNABLES, to whatever value.
  """
  if _TUNABLES in os.environ or not sys.platform.startswith('linux'):
    return
  os.environ[_TUNABLES] = _KEPT
  sys.stdout.flush()
  os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def keeps_memory() -> bool:
  """Whether this process has the malloc that `keep_memory` asks for."""
  return os.environ.get(_TUNABLES) == _KEPT
