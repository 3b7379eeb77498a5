"""What all tests share: the device, the compiled programs on disk, a key."""

import os

# Before JAX is imported; subprocesses inherit them. Compiling takes most of
# the time of the tests, and half as long without optimisations.
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
os.environ.setdefault('JAX_DISABLE_MOST_OPTIMIZATIONS', '1')
# Binaries would start a second time to ask for huge pages.
os.environ.setdefault('GLIBC_TUNABLES', '')

import jax
import pytest

from gen1shot import compilation

compilation.enable_cache()


@pytest.fixture
def key():
  """The root of a test's randomness."""
  return jax.random.key(0)
