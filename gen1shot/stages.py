"""A next stage of training: what a run goes on from."""

import dataclasses
import pathlib
from importlib.resources.abc import Traversable

from gen1shot import checkpoints, shipped, workdir
from gen1shot.config import Config
from gen1shot.errors import InputError
from gen1shot.training import TrainState, go_on


@dataclasses.dataclass(frozen=True)
class FromRun:
  """Goes on from the best checkpoint in a workdir, Adam's moments included."""

  folder: pathlib.Path

  def __str__(self) -> str:
    return f'--start_from={self.folder.absolute()}'

  def state(
    self, config: Config, data: workdir.Data, fresh: TrainState
  ) -> TrainState:
    """What the stage begins with; see `begin`."""
    _check_same(self, workdir.read_run(self.folder), (config, data))
    state = checkpoints.best(self.folder / 'checkpoints', fresh)
    if state is None:
      raise InputError(f'start_from must hold a checkpoint; got {self.folder}')
    return state

  def hand_over(self, folder: pathlib.Path) -> None:
    """Copies its metrics to the workdir of the stage."""
    workdir.inherit_metrics(self.folder, folder)


@dataclasses.dataclass(frozen=True)
class FromPackage:
  """Goes on from a model of the package, of which there are the parameters."""

  name: str
  folder: Traversable = shipped.FOLDER

  def __str__(self) -> str:
    return f'--load={self.name}'

  def state(
    self, config: Config, data: workdir.Data, fresh: TrainState
  ) -> TrainState:
    """What the stage begins with; see `begin`."""
    _, params, card = shipped.load(self.name, self.folder)
    _check_same(self, (card.config, card.data), (config, data))
    return go_on(fresh, params, card.step)

  def hand_over(self, folder: pathlib.Path) -> None:
    """There are no metrics."""


Start = FromRun | FromPackage


def begin(
  start: Start, config: Config, data: workdir.Data, fresh: TrainState
) -> TrainState:
  """The state that a next stage begins with; `fresh` is one of step 0.

  It may be trained in another way, but is of the same module, on the same data:
  its test part must not be what has been learned from.

  Raises:
    InputError: another module or other data, nothing to start from, or nothing
      left to do.
  """
  state = start.state(config, data, fresh)
  if int(state.step) >= config.steps:
    raise InputError(
      f'steps must be > {int(state.step)}, which are done with {start}; got '
      f'{config.steps}'
    )
  return state


def _check_same(start: Start, old: workdir.Run, new: workdir.Run) -> None:
  training = {field.name for field in dataclasses.fields(Config)}
  differing = workdir.differences(old, new, training - {'model', 'preset'})
  if differing:
    raise InputError(
      f'a next stage must have the module and the data of {start}; {differing}'
    )
