"""Episodes: who is drawn, how often, and that a key determines all of it."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from odds import P_VALUE, SIGMAS
from toy_classes import SIZES, identify

from gen1shot.data import augment
from gen1shot.data.episodes import EpisodeSpec, sample_episode, sample_episodes


def draw(dataset, **fields):
  spec = EpisodeSpec(**fields)
  sample = jax.jit(lambda key, data: sample_episodes(key, data, spec))
  return jax.device_get(sample(jax.random.key(0), dataset))


# Few kinds of episodes, because each takes seconds to compile.


@pytest.fixture(scope='module')
def pure(dataset):
  """6000 episodes of 5 objects of one class."""
  return draw(dataset, batch_size=6000, length=min(SIZES))


@pytest.fixture(scope='module')
def viewed(dataset):
  """4000 episodes of 5 objects of up to 3 classes, views being classes."""
  return draw(
    dataset, batch_size=4000, length=min(SIZES), max_classes=3, dihedral=True
  )


@pytest.fixture(scope='module')
def mixed(dataset):
  """3000 episodes of 60 objects of up to 3 classes, with replacement."""
  return draw(
    dataset, batch_size=3000, length=60, max_classes=3, replacement=True
  )


# --- which exemplars


@pytest.mark.parametrize('kind', ['pure', 'viewed'])
def test_without_replacement_no_exemplar_comes_twice(kind, request, whose):
  episodes = request.getfixturevalue(kind)
  for episode in identify(episodes.objects, whose):
    assert len(set(map(tuple, episode))) == min(SIZES)


def test_without_replacement_every_exemplar_is_drawn_equally_often(pure, whose):
  # The first of each episode: those of one episode are not independent.
  first = identify(pure.objects[:, 0], whose)
  for class_id, size in enumerate(SIZES):
    counts = np.bincount(first[first[:, 0] == 8 * class_id][:, 1])
    assert len(counts) == size  # no padding
    assert scipy.stats.chisquare(counts).pvalue > P_VALUE


def test_with_replacement_exemplars_come_twice_at_the_expected_rate(
  mixed, whose
):
  first, second = identify(mixed.objects[:, :2], whose).swapaxes(0, 1)
  repeats = (first == second).all(-1)
  for class_id, size in enumerate(SIZES):
    label = augment.NUM_VIEWS * class_id
    own = repeats[(first[:, 0] == label) & (second[:, 0] == label)]
    stderr = (1 / size * (1 - 1 / size) / len(own)) ** 0.5
    assert abs(own.mean() - 1 / size) < SIGMAS * stderr


def test_with_replacement_no_padding_is_drawn(mixed, whose):
  drawn = identify(mixed.objects, whose).reshape(-1, 2)
  for class_id, size in enumerate(SIZES):
    exemplars = drawn[drawn[:, 0] == augment.NUM_VIEWS * class_id][:, 1]
    assert set(exemplars) == set(range(size))


@pytest.mark.parametrize('kind', ['pure', 'viewed', 'mixed'])
def test_labels_name_the_class_of_each_image(kind, request, whose):
  episodes = request.getfixturevalue(kind)
  own = identify(episodes.objects, whose)[..., 0]
  if kind == 'viewed':
    assert len(np.unique(own)) == augment.NUM_VIEWS * len(SIZES)
  else:
    assert not (own % augment.NUM_VIEWS).any()
    own = own // augment.NUM_VIEWS
  np.testing.assert_array_equal(episodes.labels, own)


# --- which classes


def test_number_of_classes_is_uniform(mixed):
  # At length 60 a class of three stays away once in 10^10 episodes.
  numbers = [len(set(labels)) for labels in mixed.labels]
  counts = np.bincount(numbers)[1:]
  assert len(counts) == 3
  assert scipy.stats.chisquare(counts).pvalue > P_VALUE


def test_class_of_an_object_is_uniform_among_those_of_the_episode(mixed):
  pairs = [labels for labels in mixed.labels if len(set(labels)) == 2]
  share = np.mean([labels == labels.min() for labels in pairs])
  stderr = 0.5 / (60 * len(pairs)) ** 0.5
  assert abs(share - 0.5) < SIGMAS * stderr


@pytest.mark.parametrize(('kind', 'views'), [('mixed', 1), ('viewed', 8)])
def test_classes_of_the_data_set_are_uniform(kind, views, request):
  counts = np.bincount(request.getfixturevalue(kind).labels[:, 0])
  assert len(counts) == views * len(SIZES)
  assert scipy.stats.chisquare(counts).pvalue > P_VALUE


# --- purity


SPEC = EpisodeSpec(3, 4, max_classes=2, dilation=True)


@pytest.fixture(scope='module')
def sample():
  return jax.jit(lambda key, data: sample_episodes(key, data, SPEC))


def test_a_key_determines_the_episodes(sample, dataset, key):
  first = sample(key, dataset)
  chex.assert_trees_all_equal(first, sample(key, dataset))
  assert (first.objects != sample(jax.random.key(1), dataset).objects).any()


def test_episodes_are_the_same_under_jit_or_not(sample, dataset, key):
  chex.assert_trees_all_equal(
    sample(key, dataset), sample_episodes(key, dataset, SPEC)
  )


def test_vmap_over_keys_is_a_loop_over_keys(sample, dataset):
  keys = jax.random.split(jax.random.key(0), 3)
  together = jax.jit(jax.vmap(sample, (0, None)))(keys, dataset)
  for i, key in enumerate(keys):
    one = jax.tree.map(lambda leaf, i=i: leaf[i], together)
    chex.assert_trees_all_equal(one, sample(key, dataset))


def test_episodes_of_a_batch_are_independent_draws(pure):
  # 23,040 equally likely ordered episodes at least; 8 are hardly ever equal
  assert len({image.tobytes() for image in pure.objects[:8]}) == 8


def test_each_object_of_an_episode_is_changed_by_itself(sample, dataset, key):
  point = jnp.zeros_like(dataset.images).at[..., 0, 0, 0].set(1)
  same = dataset.replace(images=point)
  kinds = [
    len({image.tobytes() for image in np.asarray(episode)})
    for key in jax.random.split(key, 10)
    for episode in sample(key, same).objects
  ]
  assert set(kinds) == {1, 2}  # with the wider pen, without, or both


# --- several sets in a row


@pytest.mark.parametrize('length', [1, 2, 4, 5])
def test_sets_in_a_row_have_their_length_and_share_no_class(
  dataset, whose, length
):
  spec = EpisodeSpec(1, 4, dihedral=True)
  keys = jax.random.split(jax.random.key(0), 500)
  draw = jax.jit(
    jax.vmap(lambda key, n: sample_episode(key, dataset, spec, n), (0, None))
  )
  row = jax.device_get(draw(keys, jnp.int32(length)))
  number = np.arange(4) // length
  starts = np.append(True, number[1:] != number[:-1])
  np.testing.assert_array_equal(row.starts, np.tile(starts, (500, 1)))
  same = row.labels[:, :, None] == row.labels[:, None, :]
  expected = np.equal.outer(number, number)
  np.testing.assert_array_equal(same, np.tile(expected, (500, 1, 1)))
  found = identify(row.objects, whose)
  np.testing.assert_array_equal(found[..., 0], row.labels)
  for objects in found:
    assert len(set(map(tuple, objects))) == 4


def test_one_set_starts_once(pure):
  assert pure.starts[:, 0].all()
  assert not pure.starts[:, 1:].any()
