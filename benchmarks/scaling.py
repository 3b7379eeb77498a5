"""How the cost of a step grows with what is asked of it.

  python -m benchmarks.scaling
  python -m benchmarks.scaling --models=gmn --axes=T,B

Along each axis one number of the preset `small` grows and all else stays; the
steps for all its values take turns in one process. Printed are medians and the
slope of log(time) over log(value): 1 is linear, 2 quadratic, and what a step
costs whatever its size pulls it towards 0. Axes:

  T     objects in an episode
  B     episodes in a batch
  K     importance samples in training
  eval  importance samples of an evaluation, of one episode
  S     recurrent steps of the models that paint
  size  pixels of an image
  devices  those that share a batch; on CPU as many as JAX_NUM_CPU_DEVICES says
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from absl import flags

from benchmarks import report
from benchmarks.selection import chosen
from benchmarks.timing import Run, Times, alternate
from benchmarks.workload import TrainingStep, load_dataset
from gen1shot import commandline, zoo
from gen1shot.compilation import enable_cache
from gen1shot.config import Config
from gen1shot.data.episodes import Dataset, ImageClasses, blank_objects
from gen1shot.errors import InputError, check_choice
from gen1shot.evaluation import likelihood
from gen1shot.evaluation.memory import compile_to_fit
from gen1shot.progress import say
from gen1shot.training import init_state

BATCH, LENGTH, SIDE = 4, 5, 28  # of what does not grow; pixels a side
# Sizes of latents that can be divided among 4, 16 and 64 patches.
DIVISIBLE = {'z_dim': 64, 'c_dim': 128}


def noise(side: int) -> ImageClasses:
  """Images of any size, as many of a class as any episode has."""
  shape = (8, max(AXES['T'].values), side, side, 1)
  bits = np.random.default_rng(0).integers(0, 2, shape, 'u1')
  return ImageClasses.stack(list(bits))


def dataset_of(config: Config) -> Dataset:
  return noise(SIDE) if config.dataset == 'glyphs' else load_dataset('bars')


def longer(config: Config, length: int) -> Run:
  config = dataclasses.replace(config, episode_length=length)
  return TrainingStep(config, dataset_of(config))


def wider(config: Config, batch_size: int) -> Run:
  config = dataclasses.replace(config, batch_size=batch_size)
  return TrainingStep(config, dataset_of(config))


def weighed(config: Config, num_samples: int) -> Run:
  # Every model has the plain gradient of the K-sample bound.
  config = dataclasses.replace(
    config,
    objective='iwae',
    gradient='plain',
    kl_warmup=0,
    free_bits=0.0,
    num_samples=num_samples,
  )
  return TrainingStep(config, dataset_of(config))


def evaluated(config: Config, num_samples: int) -> Run:
  dataset = dataset_of(config)
  shape = dataset.object_shape
  module = zoo.build(config.model, config.preset, shape)
  x = blank_objects(dataset.kind, shape, config.episode_length)
  key = jax.random.key(0)

  def score(params, x, key, at_once):
    return likelihood.weigh(
      module, params, x, 'joint_log_weights', num_samples, key, at_once
    )

  given = (init_state(module, config, x, key).params, x, key)
  program = compile_to_fit(score, num_samples, *given)

  def run() -> int:
    jax.block_until_ready(program(*given))
    return 1

  return run


def deeper(config: Config, recurrent_steps: int) -> Run:
  fields = {'recurrent_steps': recurrent_steps}
  config = dataclasses.replace(config, fields=config.fields | fields)
  return TrainingStep(config, dataset_of(config))


def larger(config: Config, pixels: int) -> Run:
  known = zoo.module_fields(config.model, config.preset)
  fields = {name: size for name, size in DIVISIBLE.items() if name in known}
  config = dataclasses.replace(config, fields=config.fields | fields)
  return TrainingStep(config, noise(int(pixels**0.5)))


def shared(config: Config, devices: int) -> Run:
  config = dataclasses.replace(config, batch_size=4 * BATCH)
  return TrainingStep(config, dataset_of(config), devices)


@dataclasses.dataclass(frozen=True)
class Axis:
  """What grows, how far, and which models it is a number of."""

  values: tuple[int, ...]
  prepare: Callable[[Config, int], Run]
  models: tuple[str, ...]


_IMAGES = tuple(zoo.of_kind('images'))
_ALL = tuple(zoo.ZOO)

AXES = {
  'T': Axis((LENGTH, 20, 80), longer, _ALL),
  'B': Axis((BATCH, 16, 64), wider, _ALL),
  'K': Axis((1, 4, 16), weighed, _ALL),
  'eval': Axis((100, 400, 1600), evaluated, _ALL),
  'S': Axis((8, 16, 32), deeper, ('draw', 'sequential')),
  'size': Axis((14**2, 28**2, 56**2), larger, _IMAGES),
  'devices': Axis((1, 2, 4, 8), shared, _ALL),
}

FLAGS = flags.FLAGS
flags.DEFINE_list('axes', list(AXES), 'those to measure')
flags.DEFINE_float('seconds', 3.0, 'of measuring, for each row')
flags.DEFINE_integer(
  'values', 3, 'of each axis, the smallest first', lower_bound=2
)


@dataclasses.dataclass(frozen=True)
class Row:
  """What a model costs along an axis."""

  model: str
  axis: str
  values: tuple[int, ...]
  times: list[Times]

  @property
  def slope(self) -> float:
    """Of log(time) over log(value), by least squares."""
    times = [times.median for times in self.times]
    return float(np.polyfit(np.log(self.values), np.log(times), 1)[0])


def measure(config: Config, name: str) -> Row:
  axis = AXES[name]
  values = axis.values[: FLAGS.values]
  if name == 'devices':
    values = tuple(n for n in axis.values if n <= jax.device_count())
  runs = [axis.prepare(config, value) for value in values]
  return Row(config.model, name, values, alternate(runs, FLAGS.seconds))


def line(row: Row) -> str:
  costs = '  '.join(
    f'{value:5d}: {1e3 * times.median:8.1f}'
    for value, times in zip(row.values, row.times, strict=True)
  )
  return f'{row.model:13} {row.axis:5} {costs}  slope {row.slope:5.2f}'


def draw(figure: Any, rows: Sequence[Row]) -> None:
  """A panel an axis, a line a model."""
  names = list(dict.fromkeys(row.axis for row in rows))
  for number, name in enumerate(names):
    columns = min(len(names), 3)
    place = (-(-len(names) // 3), columns, number + 1)
    panel = figure.add_subplot(
      *place, xscale='log', yscale='log', title=name, ylabel='ms'
    )
    for row in rows:
      if row.axis == name:
        medians = [1e3 * times.median for times in row.times]
        label = f'{row.model} {row.slope:.2f}'
        panel.plot(row.values, medians, 'o-', label=label)
        panel.set_xticks(row.values, [str(value) for value in row.values])
    panel.tick_params(axis='x', which='minor', bottom=False, labelbottom=False)
    panel.legend(fontsize='x-small')


def main() -> None:
  for axis in FLAGS.axes:
    check_choice('axes', axis, AXES)
  if not FLAGS.seconds > 0:
    raise InputError(f'seconds must be > 0; got {FLAGS.seconds}')
  if FLAGS.presets:
    raise InputError(f'presets must be small; got {FLAGS.presets}')
  FLAGS.presets = ['small']
  configs = [
    dataclasses.replace(config, batch_size=BATCH, episode_length=LENGTH)
    for config in chosen(('glyphs', 'bars'))
  ]
  enable_cache()  # steps of a length of 5 stand on three axes
  record = report.begin()
  say('medians, in ms')
  rows = []
  for config in configs:
    for name in FLAGS.axes:
      alone = name == 'devices' and jax.device_count() == 1
      if config.model in AXES[name].models and not alone:
        rows.append(measure(config, name))
        say(line(rows[-1]))
  report.finish(
    'scaling',
    record,
    [dataclasses.asdict(row) | {'slope': row.slope} for row in rows],
    lambda figure: draw(figure, rows),
  )


if __name__ == '__main__':
  commandline.run(main)
