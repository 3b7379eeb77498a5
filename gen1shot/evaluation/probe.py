"""What contexts know of the distributions behind their sets.

Probes are fitted to one half of the sets and scored on the other: linear ones,
and the means of nearest neighbours, which read what is not encoded linearly.
Shapes: E sets, Q queries, D the size of a context, F targets.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from gen1shot import compilation
from gen1shot.bounds import Params
from gen1shot.data.episodes import EpisodeSpec
from gen1shot.data.reals import FAMILIES, Reals
from gen1shot.evaluation.contexts import embed_sets

_ITERATIONS = 500
_RIDGE = 1e-6  # keeps the weights of classes finite that can be separated
_NEIGHBOURS = 15


@dataclasses.dataclass(frozen=True)
class Score:
  """How well a probe did on the sets that it was not fitted to."""

  family: np.ndarray  # bool [E / 2], whether the family was told
  mean: np.ndarray  # [E / 2], see `explained`: its mean is R^2
  variance: np.ndarray  # the same


def probe(
  module: nn.Module,
  params: Params,
  dataset: Reals,
  sets: int,
  length: int,
  key: jax.Array,
) -> dict[str, Score]:
  """Probes the contexts of `sets` sets of `length` reals each.

  Edwards & Storkey 2016 show the same as a picture. The key is consumed.

  Returns:
    The scores of three probes: linear, of the means of q(c | D); posterior,
    linear too, of its means and log variances; nearest, of the means.
  """
  spec = EpisodeSpec(sets, length)
  q, class_ids = embed_sets(module, params, dataset, spec, key)
  law = jax.vmap(dataset.law)(class_ids)
  half = sets // 2
  means, widths = (standardise(x, x[:half]) for x in (q.mean, q.logvar))
  family, rest = law.family[:half], law.family[half:]
  targets = jnp.stack([law.mean, law.variance], -1)
  known, wanted = targets[:half], targets[half:]

  def read_linearly(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    told = classify(x[:half], family, x[half:], len(FAMILIES))
    return told, regress(x[:half], known, x[half:])

  near = neighbours(means[:half], means[half:], _NEIGHBOURS)
  votes = jax.nn.one_hot(family, len(FAMILIES))[near].sum(1)
  answers = {
    'linear': read_linearly(means),
    'posterior': read_linearly(jnp.concatenate([means, widths], -1)),
    'nearest': (votes.argmax(-1), known[near].mean(1)),
  }
  return {
    name: Score(
      np.asarray(told == rest), *np.asarray(explained(predicted, wanted)).T
    )
    for name, (told, predicted) in answers.items()
  }


def standardise(x: jax.Array, known: jax.Array) -> jax.Array:
  """x in units in which `known` has mean 0 and variance 1: both [..., D]."""
  return (x - known.mean(0)) / (known.std(0) + 1e-6)


def classify(
  x: jax.Array, labels: jax.Array, queries: jax.Array, classes: int
) -> jax.Array:
  """Classes of queries by multinomial logistic regression.

  Args:
    x: what it is fitted to, [E, D], of about unit scale.
    labels: its classes, int32 [E].
    queries: [Q, D].
    classes: how many there are.

  Returns:
    int32 [Q].
  """
  x, queries = _with_one(x), _with_one(queries)

  def loss(weights: jax.Array) -> jax.Array:
    misfit = optax.softmax_cross_entropy_with_integer_labels(
      x @ weights, labels
    )
    return misfit.mean() + _RIDGE * (weights**2).sum()

  solver = optax.lbfgs()
  value_and_grad = optax.value_and_grad_from_state(loss)

  def step(_: int, carry):
    weights, state = carry
    value, grad = value_and_grad(weights, state=state)
    updates, state = solver.update(
      grad, state, weights, value=value, grad=grad, value_fn=loss
    )
    return optax.apply_updates(weights, updates), state

  def fit(start: jax.Array) -> jax.Array:
    carry = start, solver.init(start)
    return jax.lax.fori_loop(0, _ITERATIONS, step, carry)[0]

  weights = compilation.jit(fit)(jnp.zeros((x.shape[1], classes)))
  return (queries @ weights).argmax(-1)


def regress(x: jax.Array, targets: jax.Array, queries: jax.Array) -> jax.Array:
  """Targets [Q, F] of queries [Q, D], by least squares on [E, D], [E, F]."""
  weights, *_ = jnp.linalg.lstsq(_with_one(x), targets)
  return _with_one(queries) @ weights


def neighbours(x: jax.Array, queries: jax.Array, count: int) -> jax.Array:
  """Which of x [E, D] are nearest to queries [Q, D]: int32 [Q, count]."""

  def nearest(query: jax.Array) -> jax.Array:
    distance = ((x - query) ** 2).sum(-1)
    return jax.lax.top_k(-distance, count)[1]

  search = compilation.jit(
    lambda queries: jax.lax.map(nearest, queries, batch_size=100)
  )
  return search(queries)


def explained(predicted: jax.Array, targets: jax.Array) -> jax.Array:
  """What each query of [Q, F] says of R^2, [Q, F].

  The mean over queries is R^2, the share of the variance that is explained. Its
  standard error is that of these values: a ratio of means moves with a query by
  error / variance - (1 - R^2) * deviation / variance (the delta method).
  """
  error = (predicted - targets) ** 2
  deviation = (targets - targets.mean(0)) ** 2
  left = error.mean(0) / deviation.mean(0)  # 1 - R^2
  return 1 - left - (error - left * deviation) / deviation.mean(0)


def _with_one(x: jax.Array) -> jax.Array:
  return jnp.pad(x, ((0, 0), (0, 1)), constant_values=1.0)
