"""Compares trees of arrays."""

import jax
import numpy as np


def assert_same_bits(a, b):
  jax.tree.map(np.testing.assert_array_equal, a, b)
