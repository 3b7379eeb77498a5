"""Measures a training step of every model of the zoo, beside its PyTorch twin.

  python -m benchmarks.throughput
  python -m benchmarks.throughput --models=statistician --presets=small

Ours is the real step, with its episodes drawn on the device; the twin is
handed ready images. The two take turns in one process, on the same threads,
and medians are compared. Run it on a quiet machine: the load average at the
start is written down.
"""

import dataclasses
import datetime
import importlib.util
import itertools
import json
import os
import pathlib
import platform
import re
import statistics
import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from experiments.configs import get_config
from gen1shot import commandline, zoo
from gen1shot.compilation import jit_step
from gen1shot.config import Config
from gen1shot.data import sources
from gen1shot.data.episodes import Dataset, ImageClasses, sample_episodes
from gen1shot.errors import InputError, check_choice
from gen1shot.training import init_state, make_train_step

FLAGS = flags.FLAGS
flags.DEFINE_list('models', zoo.of_kind('images'), 'names of the zoo')
flags.DEFINE_list('presets', None, 'those to measure; default all')
flags.DEFINE_bool('peer', True, 'also measure the PyTorch twin')
flags.DEFINE_float('seconds', 60.0, 'of measuring, for each row')
flags.DEFINE_string('out', 'benchmarks/results', 'folder of the JSON file')

CLASSES = 64  # of the data set on the device
BATCHES = 8  # ready ones that the twin goes through
TURN = 0.25  # seconds after which it is the other's turn
PAUSE = 0.02  # seconds in which the idle threads of the other fall asleep
FEWEST = 3  # turns of each, however slow


@dataclasses.dataclass(frozen=True)
class Times:
  """Seconds of single steps."""

  median: float
  quartiles: tuple[float, float]
  steps: int

  @classmethod
  def of(cls, seconds: Sequence[float]) -> 'Times':
    low, median, high = statistics.quantiles(seconds, n=4, method='inclusive')
    return cls(median, (low, high), len(seconds))


@dataclasses.dataclass(frozen=True)
class Row:
  """What is known of a preset."""

  model: str
  preset: str
  parameters: int
  batch_size: int
  compile_seconds: float
  memory_bytes: int  # arguments, results and temporaries of the program
  ours: Times
  twin: Times | None

  @property
  def ratio(self) -> float | None:
    """Twin's median over ours; above 1 ours is the faster."""
    return self.twin and self.twin.median / self.ours.median


def measure(
  config: Config, dataset: Dataset, twins: ModuleType | None, seconds: float
) -> Row:
  """Measures the step of a configuration, and that of its twin if given."""
  module = zoo.build(config.model, config.preset, dataset.object_shape)
  key = jax.random.key(config.seed)
  draw = jax.jit(lambda key: sample_episodes(key, dataset, config.episodes))
  batches = [
    np.array(draw(jax.random.fold_in(key, i)).objects) for i in range(BATCHES)
  ]
  state = init_state(module, config, jnp.asarray(batches[0][0]), key)
  start = time.perf_counter()
  step = jit_step(make_train_step(module, config), donate_argnums=0)
  step = step.lower(state, dataset, key).compile()
  compile_seconds = time.perf_counter() - start
  memory = step.memory_analysis()
  parameters = sum(leaf.size for leaf in jax.tree.leaves(state.params))

  def ours() -> None:
    nonlocal state
    state, metrics = step(state, dataset, key)
    jax.block_until_ready((state, metrics))

  runs = [ours]
  if twins is not None:
    runs.append(twin_of(twins, config, parameters, batches))
  times = alternate(runs, seconds)
  return Row(
    config.model,
    config.preset,
    parameters,
    config.batch_size,
    compile_seconds,
    memory.argument_size_in_bytes
    + memory.output_size_in_bytes
    + memory.temp_size_in_bytes
    - memory.alias_size_in_bytes,
    times[0],
    times[1] if twins else None,
  )


def twin_of(
  twins: ModuleType,
  config: Config,
  parameters: int,
  batches: Sequence[np.ndarray],
) -> Callable[[], None]:
  """A step of the PyTorch twin on the next ready batch."""
  import torch

  torch.set_num_threads(num_threads())
  device = torch_device()
  fields = zoo.module_fields(config.model, config.preset)
  step = twins.make_step(config, fields, batches[0].shape[2:], device)
  if step.num_parameters != parameters:
    raise AssertionError(
      f'the twin of {config.model} {config.preset} has {step.num_parameters} '
      f'parameters, ours {parameters}'
    )
  ready = itertools.cycle([torch.from_numpy(b).to(device) for b in batches])

  def run() -> None:
    step(next(ready))  # returns a float, so it is over

  return run


def alternate(
  runs: Sequence[Callable[[], None]], seconds: float
) -> list[Times]:
  """Times steps of each run, in turns, for about so many seconds in all."""
  for run in runs:
    run()  # the first step allocates
  taken = [[] for _ in runs]
  end = time.perf_counter() + seconds
  turns = 0
  while turns < FEWEST or time.perf_counter() < end:
    turns += 1
    for run, own in zip(runs, taken, strict=True):
      time.sleep(PAUSE)
      over = time.perf_counter() + TURN
      while True:
        start = time.perf_counter()
        run()
        now = time.perf_counter()
        own.append(now - start)
        if now > over:
          break
  return [Times.of(own) for own in taken]


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
  print(f'{model}: measured without a twin, {reason}')
  return None


def torch_device() -> str | None:
  """The device of JAX by its PyTorch name; None where PyTorch has no such."""
  import torch

  if jax.default_backend() == 'cpu':
    return 'cpu'
  if jax.default_backend() == 'gpu' and torch.cuda.is_available():
    return 'cuda'
  return None


def load_dataset(name: str) -> ImageClasses:
  """Some training classes as images that lie on the device."""
  train = sources.load(name).train
  classes, exemplars = jnp.arange(CLASSES), jnp.arange(train.smallest_class)
  draw = jax.vmap(jax.vmap(train.exemplar, (None, 0)), (0, None))
  images = jax.jit(draw)(classes, exemplars)
  return ImageClasses.stack(list(np.array(images, 'u1')))


def num_threads() -> int:
  return len(os.sched_getaffinity(0))


def device_name() -> str:
  """`cpu-2-cores`, or what the accelerator calls itself, as a file name."""
  if jax.default_backend() == 'cpu':
    return f'cpu-{num_threads()}-cores'
  kind = jax.devices()[0].device_kind.lower()
  return re.sub('[^a-z0-9]+', '-', kind).strip('-')


def circumstances() -> dict[str, Any]:
  """Where and when: what a figure is worthless without."""
  versions = {'python': platform.python_version(), 'jax': jax.__version__}
  if importlib.util.find_spec('torch'):
    import torch

    versions['torch'] = torch.__version__
  return {
    'date': datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds'),
    'versions': versions,
    'device': jax.devices()[0].device_kind,
    'cpu': cpu_model(),
    'threads': num_threads(),
    'load_average': os.getloadavg(),
  }


def cpu_model() -> str:
  info = pathlib.Path('/proc/cpuinfo')
  text = info.read_text() if info.exists() else ''
  found = re.search(r'model name\s*: (.*)', text)
  return found[1] if found else platform.processor()


HEADER = (
  'model         preset   parameters  compile s  memory MB  '
  'ms/step   steps/s  episodes/s  twin ms  twin/ours'
)


def line(row: Row) -> str:
  rate = 1 / row.ours.median
  ours = (
    f'{row.model:13} {row.preset:8} {row.parameters:10,} '
    f'{row.compile_seconds:10.1f} {row.memory_bytes / 1e6:10.0f} '
    f'{1e3 * row.ours.median:8.1f} {rate:9.2f} {rate * row.batch_size:11.1f} '
  )
  if row.twin is None:
    return f'{ours}{"-":>8} {"-":>10}'
  return f'{ours}{1e3 * row.twin.median:8.1f} {row.ratio:10.2f}'


def chosen() -> list[Config]:
  """The configurations that the flags ask for.

  Raises:
    InputError: a flag has no meaning.
  """
  for model in FLAGS.models:
    check_choice('models', model, zoo.of_kind('images'))
  # The presets of images; those of vectors have a data set of their own.
  configs = [
    get_config(model, preset)
    for model in FLAGS.models
    for preset in zoo.ZOO[model].presets
  ]
  configs = [config for config in configs if config.dataset == 'glyphs']
  known = {config.preset for config in configs}
  for preset in FLAGS.presets or ():
    check_choice('presets', preset, known)
  if not FLAGS.seconds > 0:
    raise InputError(f'seconds must be > 0; got {FLAGS.seconds}')
  return [
    config for config in configs if config.preset in (FLAGS.presets or known)
  ]


def main() -> None:
  configs = chosen()
  out = pathlib.Path(FLAGS.out).expanduser()
  try:
    out.mkdir(parents=True, exist_ok=True)
  except OSError as e:
    raise InputError(f'out must be a folder; got {FLAGS.out!r}: {e}') from e
  # A program found on disk would make the compile time a lie.
  jax.config.update('jax_enable_compilation_cache', False)
  record = circumstances()
  print(f'{record["cpu"]}, {record["threads"]} threads; {record["device"]}')
  print(f'load average at the start: {record["load_average"][0]:.2f}')
  twins = {
    model: find_twins(model) if FLAGS.peer else None for model in FLAGS.models
  }
  dataset = load_dataset('glyphs')
  print(HEADER)
  rows = []
  for config in configs:
    rows.append(measure(config, dataset, twins[config.model], FLAGS.seconds))
    print(line(rows[-1]), flush=True)
  record['rows'] = [
    dataclasses.asdict(row) | {'twin_over_ours': row.ratio} for row in rows
  ]
  path = out / f'throughput-{device_name()}.json'
  path.write_text(json.dumps(record, indent=2) + '\n')
  print(f'written: {path}')


if __name__ == '__main__':
  commandline.run(main)
