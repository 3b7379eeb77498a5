"""Few-shot classification with a generative model.

Shapes: B tasks, `ways` classes, `shots` exemplars of each class.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from gen1shot.bounds import Params
from gen1shot.data.augment import NUM_VIEWS, dihedral_view
from gen1shot.data.episodes import Dataset, sample_tasks
from gen1shot.distributions import DiagGaussian, kl
from gen1shot.errors import InputError, check_choice
from gen1shot.evaluation.likelihood import each, weigh
from gen1shot.nn.dense import unit


def accuracy(
  module: nn.Module,
  params: Params,
  dataset: Dataset,
  *,
  rule: str,
  ways: int,
  shots: int,
  tasks: int,
  num_samples: int,
  key: jax.Array,
) -> np.ndarray:
  """The share of right answers in each task, float [tasks].

  A task has one query of each of its classes. Rules:
    kl: argmin over classes of KL(q(c | shots) || q(c | query)), Edwards &
      Storkey 2016, section 4.3.
    kl-views: the same of the mean KL over the rotations and reflections of a
      task, 8 of square images; for models that were trained on such
      (`dihedral`), to which each view shows the task in other characters.
    cosine: argmax over classes of the cosine of the angle between the means of
      the two posteriors, Bartunov & Vetrov 2016, section 5.3.
    likelihood: argmax over classes of the `num_samples`-sample bound on
      log p(query | shots).

  Raises:
    InputError: no such rule, or none for such objects; too few classes in the
      data set, or too small ones.
  """
  check_choice('rule', rule, RULES)
  if rule == 'kl-views' and dataset.kind != 'images':
    raise InputError(f'kl-views is of images; got {dataset.kind}')
  score = RULES[rule]

  def one(given, number, key, at_once):
    del number
    params, dataset = given
    task_key, noise_key = jax.random.split(key)
    task = jax.tree.map(
      lambda leaf: leaf[0], sample_tasks(task_key, dataset, 1, ways, shots)
    )
    scores = score(
      module,
      params,
      task.support,
      task.queries,
      num_samples,
      noise_key,
      at_once,
    )
    return (scores.argmax(1) == jnp.arange(ways)).mean()

  return each(one, (params, dataset), jnp.arange(tasks), num_samples, key)


def _posterior_scores(
  compare, module, params, support, queries, num_samples, key, at_once
):
  """Scores [queries, classes], larger is likelier."""
  del num_samples, key, at_once

  def embed(objects):  # a set [N, *shape]
    return module.apply({'params': params}, objects, method='embed')

  classes = jax.vmap(embed)(support)
  seen = jax.vmap(embed)(queries[:, None])
  return jax.vmap(lambda query: compare(classes, query))(seen)


def _scores_of_views(module, params, support, queries, *rest):
  """The mean over views of the scores by KL: [queries, classes]."""
  turned = jnp.vectorize(dihedral_view, signature='(h,w,c),()->(h,w,c)')

  def score(view):
    seen = turned(support, view), turned(queries, view)
    return _posterior_scores(_negative_kl, module, params, *seen, *rest)

  return jax.lax.map(score, jnp.arange(NUM_VIEWS)).mean(0)


def _negative_kl(classes: DiagGaussian, query: DiagGaussian) -> jax.Array:
  return -kl(classes, query).sum(-1)


def _cosine(classes: DiagGaussian, query: DiagGaussian) -> jax.Array:
  return unit(classes.mean) @ unit(query.mean)


def likelihood_scores(
  module: nn.Module,
  params: Params,
  support: jax.Array,
  queries: jax.Array,
  num_samples: int,
  key: jax.Array,
  at_once: int,
) -> jax.Array:
  """Scores [queries, classes], in nats: log p(query | shots of the class).

  Support is [ways, shots, *shape], queries are [queries, *shape]; classes share
  a query's noise.
  """

  def score(query, key):
    def log_p(shots):
      x = jnp.concatenate([shots, query[None]])
      log_p, _ = weigh(
        module, params, x, 'log_weights', num_samples, key, at_once
      )
      return log_p[-1]

    return jax.lax.map(log_p, support)

  return jax.lax.map(
    lambda args: score(*args), (queries, jax.random.split(key, len(queries)))
  )


RULES = {
  'kl': functools.partial(_posterior_scores, _negative_kl),
  'kl-views': _scores_of_views,
  'cosine': functools.partial(_posterior_scores, _cosine),
  'likelihood': likelihood_scores,
}
