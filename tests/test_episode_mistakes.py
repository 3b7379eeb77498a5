"""Episodes and tasks that a data set cannot provide."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen1shot.data.episodes import (
  EpisodeSpec,
  ImageClasses,
  sample_episode,
  sample_episodes,
  sample_tasks,
)
from gen1shot.errors import InputError


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    ({'batch_size': 0}, 'batch_size must be >= 1; got 0'),
    ({'length': 0}, 'length must be >= 1; got 0'),
    ({'max_classes': 0}, 'max_classes must be >= 1; got 0'),
    ({'length': 6}, 'smallest class, 5 exemplars; got length 6'),
    ({'max_classes': 7}, 'max_classes must be <= 6'),
    ({'max_classes': 49, 'dihedral': True}, 'max_classes must be <= 48'),
  ],
)
def test_an_impossible_episode_is_refused(dataset, key, fields, message):
  spec = EpisodeSpec(**({'batch_size': 2, 'length': 2} | fields))
  with pytest.raises(InputError) as caught:
    sample_episodes(key, dataset, spec)
  assert message in str(caught.value)


def test_views_of_oblong_images_are_refused(key):
  oblong = ImageClasses.stack([np.zeros((2, 4, 5, 1), np.uint8)])
  with pytest.raises(InputError, match='height 4, width 5'):
    sample_episodes(key, oblong, EpisodeSpec(1, 1, dihedral=True))


def test_oblong_images_are_drawn_without_views(key):
  oblong = ImageClasses.stack([np.ones((2, 4, 5, 1), np.uint8)])
  spec = EpisodeSpec(1, 2, dilation=True, shift=True, affine=True)
  episodes = jax.eval_shape(lambda: sample_episodes(key, oblong, spec))
  assert episodes.objects.shape == (1, 2, 4, 5, 1)


def test_sets_in_a_row_need_classes_of_their_own(dataset, key):
  spec = EpisodeSpec(1, 4, max_classes=2)
  with pytest.raises(InputError, match='in each of 4 sets must be <= 6'):
    sample_episode(key, dataset, spec, jnp.int32(2))


@pytest.mark.parametrize(('ways', 'shots'), [(7, 1), (2, 5)])
def test_an_impossible_task_is_refused(dataset, key, ways, shots):
  with pytest.raises(InputError):
    sample_tasks(key, dataset, 1, ways, shots)
