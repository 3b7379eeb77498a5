"""Measures a training step of every model of the zoo, beside its PyTorch twin.

  python -m benchmarks.throughput
  python -m benchmarks.throughput --models=statistician --presets=small
  python -m benchmarks.throughput --presets=small --recurrent_steps=20

Ours is the real step, with its episodes drawn on the device; the twin is
handed ready images. The two take turns in one process, on the same threads,
and medians are compared. Run it on a quiet machine: the load average at the
start is written down. Ours takes many steps a program where it does in
training. On an accelerator the loss of a twin is asked for after ten, and both
may take products of float32 in TF32. With --compiled a third is the twin as
`torch.compile` makes it.
"""

import dataclasses
import importlib.util
import itertools
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import jax
import numpy as np
from absl import flags

from benchmarks import report
from benchmarks.selection import chosen
from benchmarks.timing import Run, Times, alternate
from benchmarks.workload import TrainingStep, load_dataset
from gen1shot import commandline, compilation, parallel, zoo
from gen1shot.config import Config
from gen1shot.data.episodes import Dataset, sample_episodes
from gen1shot.errors import InputError
from gen1shot.progress import say

FLAGS = flags.FLAGS
flags.DEFINE_bool('peer', True, 'also measure the PyTorch twin')
flags.DEFINE_bool('compiled', False, 'and that twin by torch.compile')
flags.DEFINE_float('seconds', 60.0, 'of measuring, for each row')
flags.DEFINE_integer(
  'recurrent_steps', None, 'measure the models that have them, with so many'
)

BATCHES = 8  # ready ones that the twin goes through
TWIN_STEPS = 10  # of a twin on an accelerator, before it is waited for


@dataclasses.dataclass(frozen=True)
class Row:
  """What is known of a preset."""

  model: str
  preset: str
  parameters: int
  batch_size: int
  devices: int  # that share the batch
  compile_seconds: float
  memory_bytes: int  # arguments, results and temporaries of the program
  ours: Times
  twin: Times | None
  compiled: Times | None  # the twin by `torch.compile`

  @property
  def ratio(self) -> float | None:
    """Twin's median over ours; above 1 ours is the faster."""
    return self.twin and self.twin.median / self.ours.median

  @property
  def compiled_ratio(self) -> float | None:
    """The same of the compiled twin."""
    return self.compiled and self.compiled.median / self.ours.median


def measure(
  config: Config,
  dataset: Dataset,
  twins: ModuleType | None,
  seconds: float,
  devices: int,
) -> Row:
  """Measures the step of a configuration, and that of its twin if given."""
  key = jax.random.key(config.seed)
  draw = jax.jit(lambda key: sample_episodes(key, dataset, config.episodes))
  batches = [
    np.array(draw(jax.random.fold_in(key, i)).objects) for i in range(BATCHES)
  ]
  ours = TrainingStep(config, dataset, devices)
  runs: list[Run] = [ours]
  if twins is not None:
    runs.append(twin_of(twins, config, ours.parameters, batches))
  if twins is not None and FLAGS.compiled:
    runs.append(twin_of(twins, config, ours.parameters, batches, compiles=True))
  times = [*alternate(runs, seconds), None, None]
  return Row(
    config.model,
    config.preset,
    ours.parameters,
    config.batch_size,
    devices,
    ours.compile_seconds,
    ours.memory_bytes,
    *times[:3],
  )


def twin_of(
  twins: ModuleType,
  config: Config,
  parameters: int,
  batches: Sequence[np.ndarray],
  compiles: bool = False,
) -> Run:
  """Steps of the PyTorch twin, each on the next ready batch."""
  import torch

  torch.set_num_threads(report.num_threads())
  torch.backends.cuda.matmul.allow_tf32 = True  # as XLA and cuDNN do
  device = torch_device()
  fields = fields_of(config)
  step = twins.make_step(config, fields, batches[0].shape[2:], device)
  if step.num_parameters != parameters:
    raise AssertionError(
      f'the twin of {config.model} {config.preset} has {step.num_parameters} '
      f'parameters, ours {parameters}'
    )
  if compiles:
    step.bound = torch.compile(step.bound)
  ready = itertools.cycle([torch.from_numpy(b).to(device) for b in batches])
  steps = 1 if device == 'cpu' else TWIN_STEPS

  def run() -> int:
    losses = [step(next(ready)) for _ in range(steps)]
    losses[-1].item()  # now it is over
    return steps

  return run


def fields_of(config: Config) -> Mapping[str, Any]:
  """All fields of the module."""
  return zoo.module_fields(config.model, config.preset, config.fields)


def find_twins(model: str) -> ModuleType | None:
  """The module of a model's twin, or a line that says why there is none."""
  name = f'benchmarks.peers.{model}'
  if importlib.util.find_spec('torch') is None:
    reason = 'PyTorch is not installed'
  elif torch_device() is None:
    reason = f'PyTorch has no {jax.default_backend()}'
  elif importlib.util.find_spec(name) is None:
    reason = f'nobody wrote {name}'
  else:
    return importlib.import_module(name)
  say(f'{model}: measured without a twin, {reason}')
  return None


def torch_device() -> str | None:
  """The device of JAX by its PyTorch name; None where PyTorch has no such."""
  import torch

  if jax.default_backend() == 'cpu':
    return 'cpu'
  if jax.default_backend() == 'gpu' and torch.cuda.is_available():
    return 'cuda'
  return None


def with_steps(configs: Sequence[Config], steps: int) -> list[Config]:
  """Those of models that take recurrent steps, with so many of them.

  Raises:
    InputError: there are none.
  """
  field = 'recurrent_steps'
  found = [
    dataclasses.replace(config, fields={**config.fields, field: steps})
    for config in configs
    if field in fields_of(config)
  ]
  if not found:
    models = ', '.join(dict.fromkeys(config.model for config in configs))
    raise InputError(f'{field} must be of models that have them; got {models}')
  return found


HEADER = (
  'model         preset   parameters  devices  compile s  memory MB  '
  'ms/step   steps/s  episodes/s  twin ms      ratio  compiled      ratio'
)


def line(row: Row) -> str:
  rate = 1 / row.ours.median
  ours = (
    f'{row.model:13} {row.preset:8} {row.parameters:10,} {row.devices:8} '
    f'{row.compile_seconds:10.1f} {row.memory_bytes / 1e6:10.0f} '
    f'{1e3 * row.ours.median:8.2f} {rate:9.2f} {rate * row.batch_size:11.1f} '
  )
  twin = beside(row.twin, row.ratio)
  return f'{ours}{twin}  {beside(row.compiled, row.compiled_ratio)}'


def beside(times: Times | None, ratio: float | None) -> str:
  """What a twin takes, and how much longer that is."""
  if times is None:
    return f'{"-":>8} {"-":>10}'
  return f'{1e3 * times.median:8.2f} {ratio:10.2f}'


def draw(figure: Any, rows: Sequence[Row]) -> None:
  """Milliseconds as bars, those of a preset beside each other."""
  panel = figure.add_subplot(xlabel='ms/step', xscale='log')
  places = np.arange(len(rows))
  bars = {
    'ours': [row.ours for row in rows],
    'PyTorch twin': [row.twin for row in rows],
    'compiled twin': [row.compiled for row in rows],
  }
  shown = {label: times for label, times in bars.items() if any(times)}
  height = 0.8 / len(shown)
  for i, (label, times) in enumerate(shown.items()):
    widths = [1e3 * t.median if t else np.nan for t in times]
    panel.barh(
      places + (i - len(shown) / 2 + 0.5) * height, widths, height, label=label
    )
  panel.set_yticks(places, [f'{row.model} {row.preset}' for row in rows])
  panel.invert_yaxis()
  panel.legend()


def main() -> None:
  if not FLAGS.seconds > 0:
    raise InputError(f'seconds must be > 0; got {FLAGS.seconds}')
  if FLAGS.compiled and not FLAGS.peer:
    raise InputError('compiled must be of a twin; got --compiled, --nopeer')
  configs, name = chosen(('glyphs',)), 'throughput'
  if FLAGS.recurrent_steps is not None:
    configs = with_steps(configs, FLAGS.recurrent_steps)
    name = f'throughput-{FLAGS.recurrent_steps}-steps'
  # A program found on disk would make the compile time a lie.
  jax.config.update('jax_enable_compilation_cache', False)
  split = parallel.split_cores()
  record = report.begin()
  twins = {
    model: find_twins(model) if FLAGS.peer else None
    for model in dict.fromkeys(config.model for config in configs)
  }
  dataset = load_dataset('glyphs')
  say(HEADER)
  rows = []
  for config in configs:
    # As in training.
    alone = split and not compilation.gains_from_devices(fields_of(config))
    rows.append(
      measure(
        config,
        dataset,
        twins[config.model],
        FLAGS.seconds,
        1 if alone else parallel.devices_here(),
      )
    )
    say(line(rows[-1]))
  report.finish(
    name,
    record,
    [
      dataclasses.asdict(row)
      | {'twin_over_ours': row.ratio, 'compiled_over_ours': row.compiled_ratio}
      for row in rows
    ],
    lambda figure: draw(figure, rows),
  )


if __name__ == '__main__':
  commandline.run(main)
