"""The statistician on sets of vectors."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from questions import streams

from gen1shot import training, zoo
from gen1shot.config import Config
from gen1shot.data import reals
from gen1shot.data.episodes import EpisodeSpec, sample_episodes
from gen1shot.data.points import Clouds
from gen1shot.errors import InputError
from gen1shot.evaluation import likelihood

FIELDS = tiny.FIELDS | {'observation': 'gaussian'}
CONFIG = Config(
  fields=FIELDS,
  batch_size=8,
  episode_length=20,
  objective='elbo',
  steps=60,
  warmup_steps=5,
  learning_rate=1e-2,
  eval_episodes=50,
)


def clouds():
  """Twelve images of a thick stroke, each in a place of its own."""
  images = np.zeros((12, 28, 28, 1), np.uint8)
  for i, image in enumerate(images):
    image[2 * i : 2 * i + 4, 4:24] = 1
  return Clouds.of_images({'1': images})


@pytest.fixture(scope='module', params=['reals', 'points'])
def dataset(request):
  return reals.load()['train'] if request.param == 'reals' else clouds()


@pytest.fixture(scope='module')
def module(dataset):
  return zoo.build('statistician', 'reals', dataset.object_shape, **FIELDS)


@pytest.fixture(scope='module')
def start(module, dataset):
  example = jnp.zeros((20, *dataset.object_shape))
  return training.init_state(module, CONFIG, example, jax.random.key(0))


def test_episodes_are_sets_of_vectors(dataset):
  spec = EpisodeSpec(3, 200)
  episodes = jax.jit(lambda key: sample_episodes(key, dataset, spec))(
    jax.random.key(0)
  )
  assert episodes.objects.shape == (3, 200, *dataset.object_shape)
  assert episodes.objects.dtype == jnp.float32
  for row in episodes.objects:
    assert len(np.unique(np.asarray(row), axis=0)) == 200
  assert (episodes.labels == episodes.labels[:, :1]).all()


def test_training_raises_the_bound(module, dataset, start):
  step = jax.jit(training.make_train_step(module, CONFIG))
  validate = jax.jit(training.make_validation(module, CONFIG))
  state = start
  before = validate(state.params, dataset, jax.random.key(1))['bound']
  for _ in range(CONFIG.steps):
    state, _ = step(state, dataset, jax.random.key(2))
  after = validate(state.params, dataset, jax.random.key(1))['bound']
  assert after > before + 0.1


@pytest.mark.parametrize('count', [4, 0])
def test_new_vectors_are_drawn_given_some(module, dataset, start, count):
  drawn = module.apply(
    {'params': start.params},
    jnp.ones((count, *dataset.object_shape)),
    5,
    method='predict',
    rngs=streams(jax.random.key(0)),
  )
  assert drawn.shape == (5, *dataset.object_shape)
  assert jnp.isfinite(drawn).all()


def test_held_out_sets_are_scored(module, dataset, start):
  scores = likelihood.estimate(
    module, start.params, dataset, EpisodeSpec(2, 3), 4, jax.random.key(0)
  )
  assert scores.predictive.shape == (2, 3)
  assert np.isfinite(scores.joint).all()
  assert (scores.predictive >= scores.predictive_bound).all()


def test_nets_of_images_refuse_vectors(dataset):
  module = zoo.build('statistician', 'small', dataset.object_shape)
  example = jnp.zeros((20, *dataset.object_shape))
  config = dataclasses.replace(CONFIG, fields={})
  with pytest.raises(InputError, match='nets=mixer takes images'):
    training.init_state(module, config, example, jax.random.key(0))
