"""Memory is kept: the program starts again so, once, as it was called."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import os, sys
from gen1shot import allocation
print('start', flush=True)
allocation.keep_memory()
print(os.environ['GLIBC_TUNABLES'])
print(sys.argv[1:])
"""
# As XLA has it: in a thread, several at once.
LARGE = """
import ctypes, resource, threading
from gen1shot import allocation
allocation.keep_memory()
c = ctypes.CDLL(None)
c.malloc.restype = ctypes.c_void_p
c.free.argtypes = [ctypes.c_void_p]
c.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
SIZE = allocation.LARGEST
def write():
  blocks = [c.malloc(SIZE) for _ in range(3)]
  for block in blocks:
    c.memset(block, 1, SIZE)
  for block in blocks:
    c.free(block)
def faults():
  return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def count():
  write()
  before = faults()
  for _ in range(5):
    write()
  print(faults() - before)
thread = threading.Thread(target=count)
thread.start()
thread.join()
"""
TEMPORARIES = """
import resource
import jax, jax.numpy as jnp
from gen1shot import allocation, compilation
allocation.keep_memory()
def square(x):
  return (x @ x.T) @ ((x + 1) @ x.T)
step = compilation.jit_step(None, square).lower(jnp.ones((3000, 8))).compile()
assert step.memory_analysis().temp_size_in_bytes > allocation.LARGEST
def faults():
  return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def take():
  for _ in range(3):
    jax.block_until_ready(step(jnp.ones((3000, 8))))
take()
before = faults()
take()
print(faults() - before)
"""

on_linux = pytest.mark.skipif(
  sys.platform != 'linux', reason='glibc is of Linux'
)


def run(script, *args, tunables=None):
  kept = {k: v for k, v in os.environ.items() if k != 'GLIBC_TUNABLES'}
  given = {} if tunables is None else {'GLIBC_TUNABLES': tunables}
  return subprocess.run(
    [sys.executable, '-c', script, *args],
    env=kept | given,
    capture_output=True,
    text=True,
    timeout=60,
    check=True,
  ).stdout.splitlines()


@on_linux
def test_starts_again_once_as_it_was_called():
  *starts, tunables, args = run(SCRIPT, 'a b', '--c=d')
  assert starts == ['start'] * 2
  assert tunables == (
    'glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:'
    'glibc.malloc.trim_threshold=1099511627776:glibc.malloc.top_pad=67108864'
  )
  assert args == "['a b', '--c=d']"


@on_linux
def test_tunables_of_the_user_are_left_alone():
  of_user = 'glibc.malloc.tcache_count=3'
  assert run(SCRIPT, tunables=of_user) == ['start', of_user, '[]']


@on_linux
def test_large_blocks_of_threads_are_not_given_back():
  (kept,), (given_back,) = run(LARGE), run(LARGE, tunables='')
  assert int(kept) < 10 <= int(given_back)


@on_linux
def test_temporaries_of_steps_are_not_given_back():
  (kept,), (given_back,) = run(TEMPORARIES), run(TEMPORARIES, tunables='')
  assert int(kept) < 200 <= int(given_back)  # 621 in one block
