"""What all tests share: the device, the compiled programs on disk, a key."""

import os

# Before JAX is imported. Subprocesses inherit it.
os.environ.setdefault('JAX_PLATFORMS', 'cpu')

import jax
import pytest

from gen1shot import compilation

compilation.enable_cache()
# Compiling takes most of the time of the tests; this halves it.
jax.config.update('jax_disable_most_optimizations', True)


@pytest.fixture
def key():
  """The root of a test's randomness."""
  return jax.random.key(0)
