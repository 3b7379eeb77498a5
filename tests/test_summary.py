"""Summaries of sets: which objects are dropped."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from questions import streams
from tiny import TINY

from gen1shot.distributions import DiagGaussian, kl
from gen1shot.errors import InputError
from gen1shot.evaluation.summary import make_summary
from gen1shot.models.statistician import Statistician

T = 7


class Mean(nn.Module):
  """Embeds a set as its mean; how many there are does not matter."""

  def embed(self, support, mask):
    weights = mask / mask.sum()
    return DiagGaussian(weights @ support, jnp.zeros(support.shape[1]))


@pytest.fixture(scope='module')
def statistician():
  """(module, params) on points, with noise in every parameter."""
  module = Statistician((2,), observation='gaussian', **TINY)
  example = jnp.zeros((T, 2))
  shapes = jax.eval_shape(
    lambda: module.init(streams(jax.random.key(0)), example, method='bound')
  )
  rng = np.random.default_rng(0)
  noise = jax.tree.map(
    lambda leaf: jnp.float32(0.5 * rng.normal(size=leaf.shape)), shapes
  )
  return module, noise['params']


@pytest.fixture(scope='module')
def x():
  return jax.random.normal(jax.random.key(1), (T, 2))


def costs(statistician, x, kept):
  """KL(q(c | D) || q(c | S)) for S = kept without each of its objects."""
  module, params = statistician

  def embed(chosen):
    return module.apply(
      {'params': params}, x[jnp.array(chosen)], method='embed'
    )

  return {
    gone: kl(embed(range(T)), embed([i for i in kept if i != gone])).sum()
    for gone in kept
  }


def test_every_step_is_the_best_one(statistician, x):
  kept = list(range(T))
  for size in range(T - 1, 0, -1):
    cost = costs(statistician, x, kept)
    kept.remove(min(cost, key=cost.get))
    found = make_summary(statistician[0], size)(statistician[1], x)
    assert np.flatnonzero(found).tolist() == kept


def test_the_order_of_a_set_does_not_matter(statistician, x):
  module, params = statistician
  summarise = make_summary(module, 3)
  kept = x[summarise(params, x)]
  order = jax.random.permutation(jax.random.key(2), T)
  turned = x[order][summarise(params, x[order])]
  assert set(map(tuple, kept.tolist())) == set(map(tuple, turned.tolist()))


def test_duplicates_go_first(x):
  """Three points twice each: one of each is left, with the same mean."""
  twice = jnp.concatenate([x[:3], x[:3]])
  kept = make_summary(Mean(), 3)({}, twice)
  chosen = np.flatnonzero(kept)
  assert sorted(chosen % 3) == [0, 1, 2]


def test_a_summary_is_near_to_the_best_of_its_size(x):
  """Greedy is not exhaustive, but it beats most subsets."""

  def distance(chosen):
    return float(((x[jnp.array(chosen)].mean(0) - x.mean(0)) ** 2).sum())

  kept = np.flatnonzero(make_summary(Mean(), 3)({}, x)).tolist()
  every = [distance(s) for s in itertools.combinations(range(T), 3)]
  assert np.mean(np.array(every) < distance(kept)) < 0.2


def test_all_may_be_kept(x):
  assert make_summary(Mean(), T)({}, x).all()


@pytest.mark.parametrize('size', [0, T + 1])
def test_other_sizes_are_refused(x, size):
  with pytest.raises(InputError, match=f'1 to {T} objects.*got {size}'):
    make_summary(Mean(), size)({}, x)
