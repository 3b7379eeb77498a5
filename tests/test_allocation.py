"""Memory is kept: the kernel hands out the same pages once only."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
from gen1shot import allocation
if sys.argv[1] == 'kept':
  allocation.keep_memory()
def faults():
  before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
  b'x' * 200_000_000
  return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults(), faults())
"""


@pytest.mark.skipif(
  sys.platform != 'linux', reason='mallopt is of the GNU C library'
)
@pytest.mark.parametrize('state', ['kept', 'as it is'])
def test_kept_memory_is_not_cleared_anew(state):
  done = subprocess.run(
    [sys.executable, '-c', SCRIPT, state],
    capture_output=True,
    text=True,
    timeout=60,
    check=True,
  )
  first, second = map(int, done.stdout.split())
  if state == 'kept':
    assert second < 0.1 * first
  else:
    assert second > 0.9 * first
