"""Linear probes: they find what is linear, and nothing in noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from odds import SIGMAS

from gen1shot.data import reals
from gen1shot.data.episodes import EpisodeSpec
from gen1shot.distributions import DiagGaussian
from gen1shot.evaluation import probe
from gen1shot.evaluation.contexts import embed_sets

E, D = 600, 3


def r_squared(predicted, targets):
  return probe.explained(predicted, targets).mean(0)


@pytest.fixture(scope='module')
def x():
  return np.random.default_rng(0).normal(size=(2 * E, D)).astype(np.float32)


def test_classes_between_parallel_planes_are_told_apart(x):
  """Four classes along one direction: their middle ones have two borders."""
  along = x @ np.float32([1.0, -2.0, 0.5])
  labels = np.digitize(along, np.quantile(along, [0.25, 0.5, 0.75]))
  told = probe.classify(x[:E], labels[:E], x[E:], 4)
  assert (told == labels[E:]).mean() > 0.97


def test_chance_is_all_there_is_in_noise(x):
  labels = np.random.default_rng(1).integers(0, 4, 2 * E)
  told = probe.classify(x[:E], labels[:E], x[E:], 4)
  assert abs((told == labels[E:]).mean() - 0.25) < SIGMAS * (0.1875 / E) ** 0.5
  targets = np.random.default_rng(2).normal(size=(2 * E, 1))
  score = r_squared(probe.regress(x[:E], targets[:E], x[E:]), targets[E:])
  assert abs(score[0]) < 0.05


def test_a_linear_target_is_found_and_its_noise_is_not(x):
  noise = np.random.default_rng(3).normal(size=(2 * E, 2))
  linear = 3.0 + x @ np.array([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
  targets = linear + noise * np.array([0.0, 1.0])
  score = r_squared(probe.regress(x[:E], targets[:E], x[E:]), targets[E:])
  # The second target has one part signal and one part noise.
  np.testing.assert_allclose(score, [1.0, 0.5], atol=0.07)
  assert score[0] > 0.999


def test_a_constant_explains_nothing():
  targets = jnp.arange(6.0).reshape(3, 2)
  score = r_squared(jnp.broadcast_to(targets.mean(0), (3, 2)), targets)
  np.testing.assert_allclose(score, 0, atol=1e-6)


def test_the_error_of_r_squared_is_that_of_other_queries():
  """Of a correlation of 0.8, and of what is explained of x by x + noise."""
  rng = np.random.default_rng(0)
  predicted = rng.normal(size=(400, 200, 1))
  targets = predicted + rng.normal(size=predicted.shape) * 0.75
  # Queries of one drawing are the first axis.
  values = np.asarray(jax.vmap(probe.explained)(predicted, targets))[..., 0]
  scores = values.mean(1)
  plain = 1 - ((predicted - targets) ** 2).mean(1) / targets.var(1)
  np.testing.assert_allclose(scores, plain[:, 0], rtol=1e-4)
  errors = values.std(1, ddof=1) / 200**0.5
  # 400 drawings tell their scatter to 3.5 %.
  assert errors.mean() == pytest.approx(scores.std(ddof=1), rel=0.12)


class Moments(nn.Module):
  """Embeds a set as its mean, variance, and two that tell its family."""

  blind: bool = False

  def embed(self, support):
    mean, scale = support.mean(), support.std()
    standard = (support - mean) / scale
    context = jnp.stack(
      [mean, scale**2, jnp.sqrt(abs(standard)).mean(), (standard**3).mean()]
    )
    context *= not self.blind
    return DiagGaussian(context, jnp.zeros_like(context))


def ask(module):
  part = reals.load()['test']
  return probe.probe(module, {}, part, 600, 200, jax.random.key(0))


def test_sets_of_reals_are_probed_for_what_they_are_of():
  scores = ask(Moments())
  assert set(scores) == {'linear', 'posterior', 'nearest'}
  for score in scores.values():
    assert score.family.shape == (300,)
    assert score.family.mean() > 0.9
    assert score.mean.mean() > 0.9
    assert 0.6 < score.variance.mean() < 1


class Width(nn.Module):
  """Tells the variance of a set by the width of its posterior alone."""

  def embed(self, support):
    return DiagGaussian(support.mean()[None], support.var()[None])


def test_the_width_of_a_posterior_is_read_by_one_probe():
  scores = ask(Width())
  assert scores['posterior'].variance.mean() > 0.6
  assert scores['linear'].variance.mean() < 0.1


def test_a_context_that_knows_nothing_scores_by_chance():
  for score in ask(Moments(blind=True)).values():
    assert score.family.mean() < 0.4
    assert score.mean.mean() < 0.05
    assert score.variance.mean() < 0.05


def test_neighbours_are_the_nearest_ones(x):
  found = probe.neighbours(x[:E], x[E:], 4)
  distance = ((x[E:, None] - x[None, :E]) ** 2).sum(-1)
  expected = np.argsort(distance, axis=1)[:, :4]
  np.testing.assert_array_equal(np.sort(found), np.sort(expected))


def test_sets_come_with_the_class_they_are_of():
  part = reals.load()['valid']
  spec = EpisodeSpec(50, 200)
  q, class_ids = embed_sets(Moments(), {}, part, spec, jax.random.key(0))
  means = q.mean
  assert means.shape == (50, 4)
  assert len(np.unique(class_ids)) == 50
  law = jax.vmap(part.law)(class_ids)
  error = np.sqrt(np.asarray(law.variance) / 200)
  assert (abs(means[:, 0] - law.mean) < SIGMAS * error).all()
