"""The loop of a training: steps on all devices, validation, what it tells."""

import dataclasses
import functools
from collections.abc import Callable, Iterator

import jax
import numpy as np
from flax import linen as nn

from gen1shot import compilation, parallel
from gen1shot.config import Config
from gen1shot.data.sources import Source
from gen1shot.errors import NonFiniteError
from gen1shot.objectives import Metrics
from gen1shot.training import (
  TrainState,
  make_train_step,
  make_validation,
  repeat,
)


@dataclasses.dataclass(frozen=True)
class Moment:
  """What is known when there is something to record."""

  step: int
  state: TrainState  # until the next moment: the next step takes its memory
  train: dict[str, float] | None  # means since the last; not after the first
  valid: dict[str, float] | None  # of a validation, if there was one
  stops: bool = False  # it is the last moment, before the last step


def learn(
  module: nn.Module,
  config: Config,
  state: TrainState,
  source: Source,
  train_key: jax.Array,
  valid_key: jax.Array,
  stops: Callable[[], bool],
) -> Iterator[Moment]:
  """Trains from a state to `config.steps`, or until `stops()` says so.

  Yields:
    The first moment, and those of `config.log_every`, `config.eval_every` and
    the last step.

  Raises:
    NonFiniteError: the loss is not finite; the message names the step.
  """
  axis = parallel.axis_name()
  step = make_train_step(module, config, axis)

  @functools.cache
  def program(times: int):
    steps = step if times == 1 else repeat(step, times)
    jit = functools.partial(compilation.jit_step, module)
    return parallel.spread(steps, jit, donate_argnums=(0,))

  validate = parallel.spread(
    make_validation(module, config, axis), compilation.jit
  )
  state, train, valid, train_key, valid_key = parallel.replicate(
    (state, source.train, source.valid, train_key, valid_key)
  )
  first = done = int(state.step)
  pending: list[Metrics] = []  # stays on the devices: no step waits for it
  while done < config.steps:
    times = compilation.steps_at_once(module, _to_next_record(config, done))
    with jax.transfer_guard('disallow'):  # a step asks for nothing
      state, metrics = program(times)(state, train, train_key)
    parallel.wait(metrics)
    pending.append(metrics)
    if done == first:
      jax.block_until_ready(metrics)
      yield Moment(done + times, parallel.local(state), None, None)
    done += times
    validates = done % config.eval_every == 0 or done == config.steps
    last = done < config.steps and stops()
    if validates or last or done % config.log_every == 0:
      row, valid_row = _finite_mean(pending, done), None
      pending = []
      if validates:
        metrics = validate(state.averaged, valid, valid_key)
        valid_row = _finite_mean([metrics], done)
      yield Moment(done, parallel.local(state), row, valid_row, last)
      if last:
        return


def _to_next_record(config: Config, done: int) -> int:
  """Steps until something is recorded."""
  return min(
    config.log_every - done % config.log_every,
    config.eval_every - done % config.eval_every,
    config.steps - done,
  )


def _finite_mean(programs: list[Metrics], step: int) -> dict[str, float]:
  """The means of the metrics of the steps up to `step`, [] or [steps] each."""
  rows = [
    {name: values[i] for name, values in metrics.items()}
    for metrics in jax.tree.map(np.atleast_1d, jax.device_get(programs))
    for i in range(len(metrics['bound']))
  ]
  for i, row in enumerate(rows):
    if not all(np.isfinite(value) for value in row.values()):
      raise NonFiniteError(
        f'the loss must stay finite; got {row} at step '
        f'{step - len(rows) + 1 + i}; the last good checkpoint is kept'
      )
  return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
