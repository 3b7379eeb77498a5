"""Numbers drawn without replacement."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from odds import P_VALUE, SIGMAS

from gen1shot.data.episodes import sample_distinct


def test_sample_distinct_is_uniform_over_ordered_pairs():
  keys = jax.random.split(jax.random.key(0), 20_000)
  pairs = jax.jit(jax.vmap(lambda key: sample_distinct(key, 5, 2)))(keys)
  counts = np.bincount(pairs @ np.array([5, 1]), minlength=25).reshape(5, 5)
  assert not counts.diagonal().any()
  off = counts[~np.eye(5, dtype=bool)]
  assert scipy.stats.chisquare(off).pvalue > P_VALUE


@pytest.mark.parametrize(('n', 'k'), [(1, 1), (7, 7), (20, 20), (2**24, 40)])
def test_sample_distinct_is_distinct_and_in_range(n, k):
  keys = jax.random.split(jax.random.key(1), 200)
  draws = jax.jit(
    lambda keys, n: jax.vmap(lambda key: sample_distinct(key, n, k))(keys)
  )(keys, n)  # n is traced
  assert draws.dtype == jnp.int32
  assert draws.min() >= 0
  assert draws.max() < n
  assert all(len(set(row)) == k for row in np.asarray(draws))


def test_sample_distinct_reaches_the_far_end_of_a_long_range():
  keys = jax.random.split(jax.random.key(2), 500)
  draws = jax.vmap(lambda key: sample_distinct(key, 2**24, 4))(keys)
  share = (draws >= 2**23).mean()
  assert abs(share - 0.5) < SIGMAS * 0.5 / draws.size**0.5
