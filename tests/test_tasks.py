"""Classification tasks: distinct classes, distinct exemplars."""

import jax
import numpy as np
import pytest
import scipy.stats
from odds import P_VALUE
from toy_classes import SIZES, identify

from gen1shot.data.episodes import sample_tasks


@pytest.fixture(scope='module')
def tasks(dataset, whose):
  """(label, exemplar) of support [B, ways, shots, 2] and queries."""
  sample = jax.jit(lambda key, data: sample_tasks(key, data, 400, 4, 3))
  drawn = jax.device_get(sample(jax.random.key(0), dataset))
  return identify(drawn.support, whose), identify(drawn.queries, whose)


def test_classes_of_a_task_are_distinct(tasks):
  _, queries = tasks
  assert queries.shape == (400, 4, 2)
  for task in queries[..., 0]:
    assert len(set(task)) == 4


def test_query_is_of_the_class_of_its_support(tasks):
  support, queries = tasks
  assert support.shape == (400, 4, 3, 2)
  assert (support[..., 0] == queries[..., None, 0]).all()


def test_exemplars_of_a_task_are_distinct(tasks):
  support, queries = tasks
  together = np.concatenate([support, queries[:, :, None]], 2)[..., 1]
  for exemplars in together.reshape(-1, 4):
    assert len(set(exemplars)) == 4


def test_right_answer_of_a_task_says_nothing_about_the_class(tasks):
  _, queries = tasks
  counts = np.bincount(queries[:, 0, 0] // 8, minlength=len(SIZES))
  assert scipy.stats.chisquare(counts).pvalue > P_VALUE
