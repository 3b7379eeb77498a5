"""Curricula: what they ask for at a step, and that nothing is compiled anew."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from gen1shot import training, zoo
from gen1shot.config import Config
from gen1shot.curriculum import stage
from gen1shot.data.episodes import EpisodeSpec, ImageClasses, sample_episode
from gen1shot.errors import InputError

CONFIG = Config(
  fields=tiny.FIELDS,
  batch_size=2,
  episode_length=4,
  length_warmup=9,
  steps=12,
  eval_episodes=2,
)
SHAPE = (2, 2, 1)


def test_sets_grow_in_stages_of_equal_length():
  stages = jax.vmap(lambda step: stage(CONFIG, step))(jnp.arange(12))
  assert stages.max_classes is None
  np.testing.assert_array_equal(
    stages.set_length, [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]
  )


def test_without_a_warmup_or_a_step_sets_are_whole():
  whole = dataclasses.replace(CONFIG, length_warmup=0)
  assert stage(whole, jnp.int32(3)).set_length is None
  assert stage(CONFIG, None).set_length is None


def test_classes_grow_too(key):
  config = dataclasses.replace(CONFIG, max_classes=3, classes_warmup=4)
  stages = jax.vmap(lambda step: stage(config, step))(jnp.arange(6))
  np.testing.assert_array_equal(stages.max_classes, [1, 1, 2, 2, 3, 3])
  dataset = ImageClasses.stack([np.zeros((40, 1, 1, 1), np.uint8)] * 9)
  spec = EpisodeSpec(1, 40, max_classes=3)
  draw = jax.jit(
    jax.vmap(
      lambda key, most: (
        sample_episode(key, dataset, spec, max_classes=most).labels
      ),
      (0, None),
    )
  )
  for most in (1, 2, 3):
    labels = draw(jax.random.split(key, 300), jnp.int32(most))
    counts = [len(np.unique(row)) for row in labels]
    assert set(counts) == set(range(1, most + 1))


def test_the_joint_bound_takes_one_set():
  with pytest.raises(
    InputError, match='objective=iwae only; got length_warmup'
  ):
    dataclasses.replace(CONFIG, objective='elbo')


def test_all_stages_are_one_program_and_their_bounds_those_of_their_sets():
  """At first every object is alone, so its class cannot help."""
  rng = np.random.default_rng(0)
  classes = list(rng.integers(0, 2, (4, 4, *SHAPE), np.uint8))
  dataset = ImageClasses.stack(classes)
  module = zoo.build('statistician', 'small', SHAPE, **tiny.FIELDS)
  example = jnp.zeros((4, *SHAPE))
  start = training.init_state(module, CONFIG, example, jax.random.key(0))
  step = jax.jit(training.make_train_step(module, CONFIG))
  alone = training.make_train_step(
    module, dataclasses.replace(CONFIG, length_warmup=10**6)
  )
  state = start
  for _ in range(CONFIG.steps):
    before, (state, metrics) = state, step(state, dataset, jax.random.key(1))
    _, expected = jax.jit(alone)(before, dataset, jax.random.key(1))
    same = np.isclose(metrics['bound'], expected['bound'], rtol=1e-5)
    assert same == (int(before.step) < 3)
  assert step._cache_size() == 1
