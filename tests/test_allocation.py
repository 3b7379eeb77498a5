"""Memory is kept: the kernel hands out the same pages once only."""

import os
import subprocess
import sys

import pytest

from gen1shot import commandline

SCRIPT = """
import resource, threading
from gen1shot import allocation
allocation.keep_memory()
taken = []
def allocate():
  before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
  b'x' * 200_000_000
  taken.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
for _ in range(2):
  thread = threading.Thread(target=allocate)
  thread.start()
  thread.join()
print(*taken)
"""


@pytest.mark.skipif(
  sys.platform != 'linux', reason='mallopt is of the GNU C library'
)
@pytest.mark.parametrize('asked', [{}, {'MALLOC_TOP_PAD_': '0'}])
def test_memory_is_kept_unless_the_user_says_what_is_done(asked):
  done = subprocess.run(
    [sys.executable, '-c', SCRIPT],
    env={k: v for k, v in os.environ.items() if 'MALLOC' not in k} | asked,
    capture_output=True,
    text=True,
    timeout=60,
    check=True,
  )
  first, second = map(int, done.stdout.split())
  if asked:
    assert second > 0.9 * first
  else:
    assert second < 0.1 * first


def test_binaries_keep_memory_from_their_start_on(monkeypatch):
  calls = []
  monkeypatch.setattr(
    commandline.allocation, 'keep_memory', lambda: calls.append('keep_memory')
  )
  monkeypatch.setattr(
    commandline.app, 'run', lambda *_, **__: calls.append('run')
  )
  commandline.run(lambda: None)
  assert calls == ['keep_memory', 'run']
