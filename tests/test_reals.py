"""Sets of reals: four families, each with its mean and variance."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from odds import P_VALUE, SIGMAS

from gen1shot.data import reals, sources
from gen1shot.data.reals import FAMILIES, Law

DRAWS = 20_000
PEERS = {
  'gaussian': scipy.stats.norm(),
  'exponential': scipy.stats.expon(loc=-1),
  'laplace': scipy.stats.laplace(scale=0.5**0.5),
  'uniform': scipy.stats.uniform(-(3**0.5), 12**0.5),
}


@pytest.fixture(scope='module')
def draws():
  """Family -> standardised draws [DRAWS]."""
  mean, variance = 0.7, 1.7
  keys = jax.random.split(jax.random.key(0), DRAWS)

  @jax.jit
  def draw(family):
    law = Law(family, jnp.float32(mean), jnp.float32(variance))
    return jax.vmap(reals.sample, (0, None))(keys, law)[:, 0]

  return {
    family: (np.asarray(draw(number), float) - mean) / variance**0.5
    for number, family in enumerate(FAMILIES)
  }


@pytest.mark.parametrize('family', FAMILIES)
def test_a_family_has_its_distribution(draws, family):
  test = scipy.stats.kstest(draws[family], PEERS[family].cdf)
  assert test.pvalue > P_VALUE


@pytest.mark.parametrize('family', FAMILIES)
def test_draws_have_their_mean_and_variance(draws, family):
  assert abs(draws[family].mean()) < SIGMAS * DRAWS**-0.5
  _, variance, _, excess = PEERS[family].stats('mvsk')
  assert variance == pytest.approx(1)
  error = ((excess + 2) / DRAWS) ** 0.5
  assert abs(draws[family].var() - 1) < SIGMAS * error


@pytest.fixture(scope='module')
def laws():
  """The laws of 4,000 classes of the test part."""
  part = reals.load()['test']
  return jax.jit(jax.vmap(part.law))(jnp.arange(4000))


def test_classes_are_of_all_families(laws):
  counts = np.bincount(laws.family, minlength=4)
  assert scipy.stats.chisquare(counts).pvalue > P_VALUE


@pytest.mark.parametrize('name', ['mean', 'variance'])
def test_means_and_variances_are_uniform(laws, name):
  low, high = {'mean': reals.MEANS, 'variance': reals.VARIANCES}[name]
  uniform = scipy.stats.uniform(low, high - low)
  test = scipy.stats.kstest(np.asarray(getattr(laws, name)), uniform.cdf)
  assert test.pvalue > P_VALUE


def test_what_a_class_is_does_not_tell_what_it_draws(laws):
  part = reals.load()['test']
  first = jax.jit(jax.vmap(lambda i: part.exemplar(i, jnp.int32(0))))
  drawn = np.asarray(first(jnp.arange(4000))[:, 0])
  noise = (drawn - laws.mean) / np.sqrt(laws.variance)
  for known in (laws.mean, laws.variance):
    assert scipy.stats.pearsonr(noise, known).pvalue > P_VALUE


def draw(data, class_ids, count):
  row = jax.vmap(data.exemplar, (None, 0))
  return np.asarray(
    jax.jit(jax.vmap(row, (0, None)))(class_ids, jnp.arange(count))
  )


def test_a_class_draws_from_its_own_law():
  part = reals.load()['train']
  values = draw(part, jnp.arange(8), 5000)[..., 0].astype(float)
  law = jax.vmap(part.law)(jnp.arange(8))
  for row, family, mean, variance in zip(
    values, law.family, law.mean, law.variance, strict=True
  ):
    peer = PEERS[FAMILIES[int(family)]]
    standard = (row - float(mean)) / float(variance) ** 0.5
    assert scipy.stats.kstest(standard, peer.cdf).pvalue > P_VALUE


def test_parts_are_disjoint_ranges():
  firsts = [part.first for part in reals.load().values()]
  assert firsts == [0, reals.CLASSES, 2 * reals.CLASSES]
  # The last class of train and the first of valid, seen from both sides.
  edge = reals.CLASSES - 1 + jnp.arange(2)
  train = draw(reals.Reals(firsts[0]), edge, 3)
  valid = draw(reals.Reals(firsts[1]), edge - reals.CLASSES, 3)
  np.testing.assert_array_equal(train, valid)
  assert len(np.unique(train)) == 6


def test_distributions_need_nothing():
  source = sources.load('distributions')
  assert source.train.kind == 'vectors'
  assert source.train.object_shape == (1,)
  assert source.fingerprint == sources.load('distributions', seed=1).fingerprint
  assert source.fingerprint != sources.load('glyphs').fingerprint
