"""Huge pages: the program starts again with them, once, as it was called."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import os, pathlib, sys
from gen1shot import allocation
allocation._HUGE_PAGES = pathlib.Path(sys.argv[1])
print('start', flush=True)
allocation.use_huge_pages()
print(os.environ.get('GLIBC_TUNABLES'), sys.argv[2:])
"""


@pytest.mark.skipif(
  sys.platform != 'linux', reason='huge pages are asked for on Linux only'
)
@pytest.mark.parametrize(
  ('state', 'given', 'starts', 'tunables'),
  [
    ('always [madvise] never', None, 2, 'glibc.malloc.hugetlb=1'),
    ('[always] madvise never', None, 1, 'None'),
    ('always madvise [never]', None, 1, 'None'),
    (None, None, 1, 'None'),
    ('always [madvise] never', 'glibc.malloc.tcache_count=3', 1, None),
  ],
)
def test_starts_again_where_huge_pages_must_be_asked_for(
  tmp_path, state, given, starts, tunables
):
  path = tmp_path / 'enabled'
  if state is not None:
    path.write_text(state)
  environment = {k: v for k, v in os.environ.items() if k != 'GLIBC_TUNABLES'}
  if given is not None:
    environment['GLIBC_TUNABLES'] = given
  done = subprocess.run(
    [sys.executable, '-c', SCRIPT, str(path), 'a b', '--c=d'],
    env=environment,
    capture_output=True,
    text=True,
    timeout=60,
    check=True,
  )
  *first, last = done.stdout.splitlines()
  assert first == ['start'] * starts
  assert last == f"{tunables or given} ['a b', '--c=d']"
