"""What each choice made for CPUs is worth: a training step with and without it.

  python -m benchmarks.choices

Both steps are of the same model and take turns in one process.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
from absl import flags
from flax import linen as nn

from benchmarks import report, workload
from benchmarks.timing import Times, alternate
from benchmarks.workload import TrainingStep, load_dataset
from experiments.configs import get_config
from gen1shot import commandline, compilation, training
from gen1shot.data.episodes import Dataset
from gen1shot.errors import InputError, check_choice
from gen1shot.models import sequential
from gen1shot.nn import canvas, conv, loops, narrow, residual, rows
from gen1shot.progress import say

FLAGS = flags.FLAGS
flags.DEFINE_list('choices', None, 'to measure; default all')
flags.DEFINE_float('seconds', 30.0, 'of measuring, for each row')


class _DilatedConv(nn.Module):
  """`residual.TransposedConv` as XLA transposes convolutions."""

  features: int
  kernel: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    image = nn.ConvTranspose(
      self.features, (self.kernel, self.kernel), (2, 2), 'VALID'
    )(x)
    *lead, side, _, channels = image.shape
    odd = side % 2
    image = jnp.pad(image, [(0, 0)] * len(lead) + [(0, odd)] * 2 + [(0, 0)])
    half = (side + odd) // 2
    blocks = image.reshape(*lead, half, 2, half, 2, channels)
    return blocks.swapaxes(-3, -4)


def _same(tree: Any) -> Any:
  return tree


@dataclasses.dataclass(frozen=True)
class Choice:
  """A step that a choice matters for, and how the choice is undone."""

  model: str
  preset: str
  undone: contextlib.AbstractContextManager[Any]
  fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  devices: int = 1  # with the choice
  others: int = 1  # devices without it


def _steps_with(options: Mapping[str, str]) -> Any:
  """Steps compiled with these options instead of their own."""

  def jit_step(module, function, **kwargs):
    del module
    return jax.jit(function, compiler_options=dict(options), **kwargs)

  return mock.patch.object(workload, 'jit_step', jit_step)


@contextlib.contextmanager
def _rolled() -> Iterator[None]:
  """Loops are loops."""
  with (
    mock.patch.object(canvas, 'SHORT', 0),
    mock.patch.object(
      sequential, 'unroll', lambda *args, convolves: canvas.unroll(*args)
    ),
  ):
    yield


def _scan_in_flax(step, module, carry, xs, given, transform, unroll) -> Any:
  """`loops.scan` whose matrices have a gradient of each step."""

  def body(module, carry, x):
    return step(module, carry, x, *given)

  del transform
  body = nn.remat(body, prevent_cse=False, policy=canvas.saveable)
  scan = nn.scan(body, variable_broadcast='params', unroll=unroll)
  return scan(module, carry, xs)


CHOICES = {
  'default scheduler': Choice(
    'vae', 'conv', _steps_with(compilation._SCHEDULER)
  ),
  'all fusions': Choice(
    'statistician', 'small', _steps_with(compilation._RIGHT)
  ),
  'small sums as they are': Choice('draw', 'small', _steps_with({})),
  'one axis of rows': Choice(
    'statistician', 'small', mock.patch.object(rows, 'product', jnp.matmul)
  ),
  'two devices': Choice('gmn', 'conv', contextlib.nullcontext(), devices=2),
  'transposed convolution': Choice(
    'gmn', 'conv', mock.patch.object(residual, 'TransposedConv', _DilatedConv)
  ),
  'gradients as one row': Choice(
    'vae',
    'conv',
    mock.patch.object(training, 'ravel_pytree', lambda tree: (tree, _same)),
    devices=2,
    others=2,
  ),
  'few channels': Choice(
    'gmn',
    'conv',
    mock.patch.object(narrow, 'convolve', jax.lax.conv_general_dilated),
    devices=2,
    others=2,
  ),
  'convolutions in fewer products': Choice(
    'statistician',
    'paper',
    mock.patch.object(conv, 'convolve', jax.lax.conv_general_dilated),
    devices=2,
    others=2,
  ),
  'temporaries in blocks': Choice(
    'gmn', 'conv', _steps_with({}), devices=2, others=2
  ),
  'unrolled short loops': Choice('draw', 'small', _rolled()),
  'only products kept': Choice(
    'draw',
    'small',
    mock.patch.object(
      canvas, 'saveable', jax.checkpoint_policies.everything_saveable
    ),
    {'recurrent_steps': 20},
  ),
  'one gradient for all steps': Choice(
    'draw',
    'small',
    mock.patch.object(loops, 'scan', _scan_in_flax),
    {'recurrent_steps': 20},
    devices=2,
    others=2,
  ),
  'unrolled convolutions': Choice(
    'sequential', 'small', _rolled(), {'canvas': 'gated'}
  ),
}


@dataclasses.dataclass(frozen=True)
class Row:
  """What is known of a choice."""

  choice: str
  model: str
  preset: str
  chosen: Times
  without: Times

  @property
  def ratio(self) -> float:
    """Median without over median with; above 1 the choice pays."""
    return self.without.median / self.chosen.median


def measure(name: str, dataset: Dataset, seconds: float) -> Row:
  """Both steps in turns."""
  choice = CHOICES[name]
  config = get_config(choice.model, choice.preset)
  config = dataclasses.replace(config, fields=dict(choice.fields))
  chosen = TrainingStep(config, dataset, choice.devices)
  with choice.undone:
    without = TrainingStep(config, dataset, choice.others)
  times = alternate([chosen, without], seconds)
  return Row(name, choice.model, choice.preset, *times)


HEADER = (
  'choice                         model         preset  with ms  without ms'
  '  ratio'
)


def line(row: Row) -> str:
  return (
    f'{row.choice:30} {row.model:13} {row.preset:6} '
    f'{1e3 * row.chosen.median:8.1f} {1e3 * row.without.median:11.1f} '
    f'{row.ratio:6.2f}'
  )


def draw(figure: Any, rows: Sequence[Row]) -> None:
  """The ratios as bars."""
  panel = figure.add_subplot(xlabel='time without / time with')
  panel.barh([row.choice for row in rows], [row.ratio for row in rows])
  panel.axvline(1.0, color='black', linewidth=0.8)
  panel.invert_yaxis()


def main() -> None:
  if not FLAGS.seconds > 0:
    raise InputError(f'seconds must be > 0; got {FLAGS.seconds}')
  names = FLAGS.choices or tuple(CHOICES)
  for name in names:
    check_choice('choices', name, CHOICES)
  # Before the backend is asked for, as it starts then.
  jax.config.update('jax_num_cpu_devices', 2)
  if jax.default_backend() != 'cpu':
    raise InputError(f'these are choices for CPUs; got {jax.default_backend()}')
  compilation.enable_cache()
  record = report.begin()
  dataset = load_dataset('glyphs')
  say(HEADER)
  rows = []
  for name in names:
    rows.append(measure(name, dataset, FLAGS.seconds))
    say(line(rows[-1]))
  report.finish(
    'choices',
    record,
    [dataclasses.asdict(row) | {'ratio': row.ratio} for row in rows],
    lambda figure: draw(figure, rows),
  )


if __name__ == '__main__':
  commandline.run(main)
