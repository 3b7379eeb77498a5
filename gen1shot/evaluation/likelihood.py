"""Likelihood of episodes: predictive at each position, and joint.

Shapes: E episodes, T objects, K importance samples.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import struct

from gen1shot import compilation
from gen1shot.bounds import Params, log_mean_exp
from gen1shot.data.episodes import Dataset, EpisodeSpec, sample_episodes

Array = jax.Array | np.ndarray

_OBJECTS_AT_ONCE = 4000  # decoded together: about 200 MB in the mixer


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
  positions compare like with like. The key is consumed.

  Raises:
    InputError: the data set cannot provide such episodes.
  """
  episode_key, noise_key = jax.random.split(key)
  draw = compilation.jit(lambda key, data: sample_episodes(key, data, spec))
  episodes = draw(episode_key, dataset).images
  score = compilation.jit(
    lambda params, x, key: _score(module, params, x, num_samples, key)
  )
  # Episode by episode: one is already thousands of decoded objects.
  rows = [
    jax.device_get(score(params, x, key))
    for x, key in zip(
      episodes, jax.random.split(noise_key, len(episodes)), strict=True
    )
  ]
  return jax.tree.map(lambda *leaves: np.stack(leaves), *rows)


def _score(
  module: nn.Module, params: Params, x: jax.Array, num_samples: int, key: Any
) -> Likelihood:
  """One episode [T, *shape]; every leaf loses its E axis."""
  T = len(x)
  order_key, joint_key = jax.random.split(key)

  def weigh(method: str, x: jax.Array, key: jax.Array):
    def chunk_of(size: int, key: jax.Array):
      return module.apply(
        {'params': params}, x, size, method=method, rngs={'sample': key}
      )

    return _means(chunk_of, num_samples, _OBJECTS_AT_ONCE // T, key)

  def one_order(args: tuple[jax.Array, jax.Array]):
    shift, key = args
    return weigh('log_weights', jnp.roll(x, shift, axis=0), key)

  predictive, bound = jax.lax.map(
    one_order, (jnp.arange(T), jax.random.split(order_key, T))
  )
  # [K, factors]: those of a model whose likelihood factorises are independent.
  joint, joint_bound = weigh('joint_log_weights', x, joint_key)
  return Likelihood(
    predictive.mean(0), bound.mean(0), joint.sum() / T, joint_bound.sum() / T
  )


def _means(chunk_of, num_samples: int, largest: int, key: jax.Array):
  """log-mean-exp and mean over K log weights, drawn in chunks that fit.

  `chunk_of(size, key)` gives log weights [size, ...]; both results are [...].
  """
  size = max(n for n in range(1, max(largest, 1) + 1) if num_samples % n == 0)

  def one_chunk(key: jax.Array):
    log_weights = chunk_of(size, key)
    return log_mean_exp(log_weights), log_weights.mean(0)

  keys = jax.random.split(key, num_samples // size)
  pieces, means = jax.lax.map(one_chunk, keys)
  return log_mean_exp(pieces), means.mean(0)


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
    return f'{self.mean:.2f} ± {self.stderr:.2f}'


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
