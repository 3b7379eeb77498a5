"""The trainer: one for every model of the zoo."""

from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from flax import struct
from jax.flatten_util import ravel_pytree

from gen1shot import parallel, precision
from gen1shot.bounds import Params
from gen1shot.config import Config
from gen1shot.curriculum import stage
from gen1shot.data.documents import Documents
from gen1shot.data.episodes import Dataset, EpisodeSpec, sample_episode
from gen1shot.objectives import Metrics, check_objective, objective

Step = Callable[
  ['TrainState', Dataset, jax.Array], tuple['TrainState', Metrics]
]


@struct.dataclass
class TrainState:
  """All that a step changes."""

  step: jax.Array  # int32 []
  params: Params
  averaged: Params  # exponential moving average of params; what is used
  opt_state: Any


def make_optimiser(config: Config) -> optax.GradientTransformation:
  """Adam with clipped gradients, linear warm-up and cosine decay to 0.

  A training step has it work on one row of all parameters.
  """
  schedule = optax.warmup_cosine_decay_schedule(
    0.0,
    config.learning_rate,
    min(config.warmup_steps, config.steps // 2),
    config.steps,
  )
  clip = optax.clip_by_global_norm(config.clip_norm)
  return optax.chain(clip, optax.adam(schedule))


def repeat(step: Step, times: int) -> Step:
  """So many steps as one program; metrics are [times] each."""

  def steps(state: TrainState, dataset: Dataset, key: jax.Array):
    return jax.lax.scan(
      lambda state, _: step(state, dataset, key), state, length=times
    )

  return steps


def init_state(
  module: nn.Module, config: Config, example: jax.Array, key: jax.Array
) -> TrainState:
  """A fresh state; `example` is one episode [T, *shape]. Consumes the key."""
  names = ('params', 'sample', 'dropout')
  rngs = dict(zip(names, jax.random.split(key, 3), strict=True))

  def init(rngs):
    params = module.init(rngs, example, method='bound')['params']
    opt_state = make_optimiser(config).init(ravel_pytree(params)[0])
    return TrainState(
      jnp.int32(0), params, jax.tree.map(jnp.copy, params), opt_state
    )

  return jax.jit(init)(rngs)


def go_on(fresh: TrainState, params: Params, step: int) -> TrainState:
  """The state at a step of which only the parameters are known.

  The learning rate is that of the step; the moments of Adam begin anew. Shares
  no array with `params`, which a step that donates its state would delete.
  """
  opt_state = optax.tree.set(
    fresh.opt_state,
    lambda path, _: path[-1].tuple_name == 'ScaleByScheduleState',
    count=jnp.int32(step),
  )
  params, averaged = (jax.tree.map(jnp.copy, params) for _ in range(2))
  return TrainState(jnp.int32(step), params, averaged, opt_state)


def make_train_step(
  module: nn.Module, config: Config, axis_name: str | None = None
) -> Step:
  """`step(state, dataset, key) -> (state, metrics)`, pure; the caller jits.

  The key is the run's: noise and episodes follow from it and `state.step`, so
  a resumed run repeats what it would have drawn. Metrics are means over the
  batch, in nats per object, and the gradient's global norm.

  With an `axis_name` the batch is spread over the devices of that axis: each
  returns the same state, up to rounding that of one device.

  A model that can be fitted in closed form is, by every step.

  Raises:
    InputError: the model has no such objective.
  """
  check_objective(module, config)
  if hasattr(module, 'fit'):
    return _make_fit(module, config, axis_name)
  optimiser = make_optimiser(config)

  def gradients(state: TrainState, dataset: Dataset, keys: jax.Array):
    def loss(params):
      with precision.computing_in(config.precision):
        bound, metrics = _batch_objective(
          module,
          config,
          config.episodes,
          params,
          dataset,
          keys,
          axis_name,
          state.step,
        )
      return -bound, metrics

    return jax.grad(loss, has_aux=True)(state.params)

  def step(state: TrainState, dataset: Dataset, key: jax.Array):
    keys = jax.random.split(
      jax.random.fold_in(key, state.step), config.batch_size
    )
    grads, metrics = gradients(state, dataset, keys)
    # As one row: devices meet once for all of them, and a GPU has one array to
    # update where it else has one for each leaf.
    row, shaped = ravel_pytree(grads)
    row, metrics = parallel.total((row, metrics), axis_name)
    updates, opt_state = optimiser.update(row, state.opt_state)
    moves = shaped(cast(jax.Array, updates))
    params = optax.apply_updates(state.params, moves)
    # At first the memory is a tenth of the steps done, and forgets the first.
    decay = jnp.minimum(config.ema_decay, (state.step + 1) / (state.step + 10))
    averaged = optax.incremental_update(params, state.averaged, 1 - decay)
    metrics |= {'gradient_norm': optax.tree.norm(row)}
    return TrainState(state.step + 1, params, averaged, opt_state), metrics

  return step


def _make_fit(module: nn.Module, config: Config, axis_name: str | None) -> Step:
  """A step to the parameters that are best on the data set."""

  def step(state: TrainState, dataset: Dataset, key: jax.Array):
    params = module.fit(cast(Documents, dataset).words)
    _, metrics = _batch_objective(
      module,
      config,
      config.episodes,
      params,
      dataset,
      jax.random.split(jax.random.fold_in(key, state.step), config.batch_size),
      axis_name,
    )
    metrics = parallel.total(metrics, axis_name)
    done = TrainState(state.step + 1, params, params, state.opt_state)
    return done, metrics

  return step


def make_validation(
  module: nn.Module, config: Config, axis_name: str | None = None
) -> Callable[[Params, Dataset, jax.Array], Metrics]:
  """`validate(params, dataset, key) -> metrics`, pure; the caller jits.

  The training objective on `eval_episodes` episodes of the data set as it is:
  without augmentation, and with the KL terms at their full weight. The same
  key gives the same episodes and noise.
  """

  def validate(params: Params, dataset: Dataset, key: jax.Array) -> Metrics:
    keys = jax.random.split(key, config.eval_episodes)
    spec = config.validation_episodes
    _, metrics = _batch_objective(
      module, config, spec, params, dataset, keys, axis_name
    )
    return parallel.total(metrics, axis_name)

  return validate


def _batch_objective(
  module: nn.Module,
  config: Config,
  spec: EpisodeSpec,
  params: Params,
  dataset: Dataset,
  keys: jax.Array,
  axis_name: str | None,
  step: jax.Array | None = None,
) -> tuple[jax.Array, Metrics]:
  """The objective and its parts, means over one episode a key.

  Of several devices each returns what its share of the keys adds to them.
  """

  def one(key: jax.Array):
    episode_key, noise_key = jax.random.split(key)
    now = stage(config, step)
    episode = sample_episode(
      episode_key, dataset, spec, now.set_length, now.max_classes
    )
    starts = None if now.set_length is None else episode.starts
    bound, metrics = objective(
      module,
      config,
      params,
      episode.objects,
      noise_key,
      step,
      starts,
      episode.mask,
    )
    counts = None if episode.mask is None else episode.mask.mean()
    return counts, (bound, metrics | {'bound': bound})

  keys, weights = parallel.share(keys, axis_name)
  counts, figures = jax.tree.map(
    lambda figure: (weights * figure).sum(), jax.vmap(one)(keys)
  )
  if counts is None:
    return figures
  # Of the T places of an episode, those with an object that counts; documents
  # may all be empty.
  counts = jnp.maximum(parallel.total(counts, axis_name), 1e-6)
  return jax.tree.map(lambda figure: figure / counts, figures)
