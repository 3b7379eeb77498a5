"""How this process gets memory from the operating system."""

import os
import pathlib
import sys

_TUNABLES = 'GLIBC_TUNABLES'
_HUGE_PAGES = pathlib.Path('/sys/kernel/mm/transparent_hugepage/enabled')


def use_huge_pages() -> None:
  """Starts the program again with malloc on huge pages, if it has to ask.

  XLA on CPU allocates the temporaries of each step anew, and glibc gets large
  ones from the kernel every time: a fifth of a training step was page faults
  over 4 KiB pages. glibc reads its settings when a process starts, hence the
  new start, in the same process and with the same arguments.

  Nothing happens elsewhere than on Linux, where pages are huge anyway or never,
  and where the user has set GLIBC_TUNABLES, to whatever value.
  """
  if _TUNABLES in os.environ or not sys.platform.startswith('linux'):
    return
  if not _HUGE_PAGES.exists() or '[madvise]' not in _HUGE_PAGES.read_text():
    return
  os.environ[_TUNABLES] = 'glibc.malloc.hugetlb=1'
  sys.stdout.flush()
  os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
