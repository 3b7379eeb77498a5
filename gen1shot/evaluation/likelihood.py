"""Likelihood of episodes: predictive at each position, and joint.

Shapes: E episodes, T objects, K importance samples.
"""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import struct

from gen1shot import compilation, parallel
from gen1shot.bounds import Params, log_mean_exp
from gen1shot.data.episodes import Dataset, EpisodeSpec, sample_episodes
from gen1shot.errors import InputError
from gen1shot.evaluation.memory import compile_to_fit

Array = jax.Array | np.ndarray

_ORDERS = 20  # in which an episode is scored at most


@struct.dataclass
class Likelihood:
  """Estimates for each episode, in nats."""

  predictive: Array  # [E, T] K-sample bound of log p(x_t | x_<t)
  predictive_bound: Array  # [E, T] its one-sample bound, mean of K
  joint: Array  # [E] K-sample bound of log p(x_1..x_T) / T
  joint_bound: Array  # [E] its one-sample bound, mean of K


def estimate(
  module: nn.Module,
  params: Params,
  dataset: Dataset,
  spec: EpisodeSpec,
  num_samples: int,
  key: jax.Array,
) -> Likelihood:
  """Scores `spec.batch_size` episodes of a data set.

  The predictive figures score each episode in all T cyclic orders of its
  objects and average, so that every object stands once at every position and
  positions compare like with like; of more than 20 objects in 20 orders. The
  key is consumed.

  Raises:
    InputError: the data set cannot provide such episodes, or its objects are
      words, which have an order: `perplexity.score` is for them.
  """
  if dataset.kind == 'words':
    raise InputError(
      'likelihoods are of images and vectors; got words: use perplexity.score'
    )
  episode_key, order_key, joint_key = jax.random.split(key, 3)
  episodes = draw(dataset, spec, episode_key)

  return Likelihood(
    *predictive(
      module,
      params,
      episodes,
      num_samples,
      order_key,
      min(spec.length, _ORDERS),
    ),
    *joint(module, params, episodes, num_samples, joint_key),
  )


def draw(dataset: Dataset, spec: EpisodeSpec, key: jax.Array) -> jax.Array:
  """The objects of some episodes, [E, T, *shape].

  Raises:
    InputError: the data set cannot provide such episodes.
  """
  sample = compilation.jit(lambda key, data: sample_episodes(key, data, spec))
  return sample(key, dataset).objects


def predictive(
  module: nn.Module,
  params: Params,
  episodes: jax.Array,
  num_samples: int,
  key: jax.Array,
  orders: int,
) -> tuple[Array, Array]:
  """The K-sample and one-sample bounds of log p(x_t | x_<t), [E, T] both.

  Args:
    module: of the zoo.
    params: of the module.
    episodes: objects [E, T, *shape].
    num_samples: K.
    key: consumed.
    orders: each episode is scored in so many cyclic orders, 1..T, and averaged.
  """

  def score(params: Params, x: jax.Array, key: jax.Array, at_once: int):
    def one_order(args: tuple[jax.Array, jax.Array]):
      shift, key = args
      turned = jnp.roll(x, shift, axis=0)
      return weigh(
        module, params, turned, 'log_weights', num_samples, key, at_once
      )

    figures = jax.lax.map(
      one_order, (jnp.arange(orders), jax.random.split(key, orders))
    )
    return jax.tree.map(lambda figure: figure.mean(0), figures)

  return each(score, params, episodes, num_samples, key)


def joint(
  module: nn.Module,
  params: Params,
  episodes: jax.Array,
  num_samples: int,
  key: jax.Array,
) -> tuple[Array, Array]:
  """The K-sample and one-sample bounds of log p(x_1..x_T) / T, [E] both.

  The arguments are those of `predictive`.
  """

  def score(params: Params, x: jax.Array, key: jax.Array, at_once: int):
    figures = weigh(
      module, params, x, 'joint_log_weights', num_samples, key, at_once
    )
    # [factors], which are independent where the joint is a product
    return tuple(figure.sum() / len(x) for figure in figures)

  return each(score, params, episodes, num_samples, key)


def each(
  score, given: Any, items: jax.Array, num_samples: int, key: jax.Array
) -> Any:
  """`score(given, item, key, at_once)` of every item, stacked; compiled.

  Items lie on the leading axis; each has a key of its own, split from `key`,
  and each device has one at a time: an episode is thousands of decoded objects.
  `num_samples` are computed in chunks of `at_once`, as many as fit.
  """
  n = parallel.devices_here()

  def together(given, items, keys, at_once):
    one = functools.partial(score, at_once=at_once)
    return parallel.one_each(one, n)(given, items, keys)

  padded = jnp.arange(-(-len(items) // n) * n) % len(items)
  places = padded.reshape(-1, n)
  keys = jax.random.split(key, len(items))
  given = parallel.replicate(given)
  compiled = compile_to_fit(
    together, num_samples, given, items[places[0]], keys[places[0]]
  )
  rows = [
    jax.device_get(compiled(given, items[place], keys[place]))
    for place in places
  ]
  return jax.tree.map(
    lambda *leaves: np.concatenate(leaves)[: len(items)], *rows
  )


def weigh(
  module: nn.Module,
  params: Params,
  x: jax.Array,
  method: str,
  num_samples: int,
  key: jax.Array,
  at_once: int,
  mask: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
  """log-mean-exp and mean over the K log weights of one episode.

  `method` gives them of objects x [T, *shape]; to one that takes a mask the
  objects that count can be told, boolean [T]. Each sample has a key of its own,
  so that nothing depends on how many are computed `at_once`.
  """
  masked = () if mask is None else (mask,)

  def sample(key: jax.Array):
    return module.apply(
      {'params': params}, x, 1, *masked, method=method, rngs={'sample': key}
    )[0]

  keys = jax.random.split(key, num_samples)
  log_weights = jax.lax.map(sample, keys, batch_size=at_once)
  return log_mean_exp(log_weights), log_weights.mean(0)


@dataclasses.dataclass(frozen=True)
class Figure:
  """A mean over episodes with its standard error."""

  mean: float
  stderr: float

  @classmethod
  def of(cls, values: Array) -> 'Figure':
    """From one value an episode, [E]; the error of one episode is infinite."""
    if len(values) < 2:
      return cls(float(values.mean()), float('inf'))
    return cls(
      float(values.mean()), float(np.std(values, ddof=1) / len(values) ** 0.5)
    )

  def __str__(self) -> str:
    """With two digits of the error, and with two decimals or more."""
    known = 0 < self.stderr < math.inf
    digits = max(2, 1 - math.floor(math.log10(self.stderr))) if known else 2
    return f'{self.mean:.{digits}f} ± {self.stderr:.{digits}f}'


def summary(likelihood: Likelihood) -> list[dict[str, Any]]:
  """Rows of a table: one a position, then the joint figure.

  `gain` is the difference to position 0, paired by episode.
  """
  positions = [
    {
      'examples': t,
      'predictive': Figure.of(likelihood.predictive[:, t]),
      'bound': Figure.of(likelihood.predictive_bound[:, t]),
      'gain': Figure.of(
        likelihood.predictive[:, t] - likelihood.predictive[:, 0]
      ),
    }
    for t in range(likelihood.predictive.shape[1])
  ]
  joint = {
    'examples': 'joint',
    'predictive': Figure.of(likelihood.joint),
    'bound': Figure.of(likelihood.joint_bound),
    'gain': None,
  }
  return [*positions, joint]
