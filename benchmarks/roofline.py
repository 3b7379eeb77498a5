"""How near training steps come to what the machine can do.

  python -m benchmarks.roofline
  python -m benchmarks.roofline --models=gmn --presets=small

A step, a product of large matrices and a copy of a large array take turns in
one process: their medians give what the step achieves and its two ceilings.

Operations are those of matrix products and convolutions (`benchmarks/flops.py`;
XLA's count of everything, which takes the body of a loop once, is written
beside it). Bytes are XLA's, of all that goes in or comes out of an instruction
or fusion; caches serve some of them, so that a share of the copy may exceed 1.
Where products stand in loops XLA's bytes say nothing, and none are given; the
loop of many steps, which training takes at once, it counts as one.
"""

import dataclasses
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from absl import flags

from benchmarks import flops, report
from benchmarks.selection import NEED_NO_FILES, chosen
from benchmarks.timing import Run, Times, alternate
from benchmarks.workload import TrainingStep, load_dataset
from gen1shot import commandline
from gen1shot.compilation import enable_cache
from gen1shot.config import Config
from gen1shot.data.episodes import Dataset
from gen1shot.errors import InputError
from gen1shot.progress import say

FLAGS = flags.FLAGS
flags.DEFINE_float('seconds', 8.0, 'of measuring, for each row')
flags.DEFINE_integer('side', 2048, 'of the product', lower_bound=1)
flags.DEFINE_integer(
  'copied', 2**28, 'bytes of the copied array', lower_bound=4
)


@dataclasses.dataclass(frozen=True)
class Row:
  """A step beside its ceilings, which were measured in turns with it."""

  model: str
  preset: str
  flops: int  # of matrix products
  xla_flops: float  # of everything, the body of every loop once
  bytes: float | None  # None where products stand in loops
  seconds: Times
  matmul: float  # FLOP/s
  copy: float  # bytes/s, read and written

  @property
  def rate(self) -> float:
    """FLOP/s."""
    return self.flops / self.seconds.median

  @property
  def of_matmul(self) -> float:
    return self.rate / self.matmul

  @property
  def of_copy(self) -> float | None:
    return self.bytes and self.bytes / self.seconds.median / self.copy


def measure(config: Config, dataset: Dataset, ceilings: Sequence[Run]) -> Row:
  step = TrainingStep(config, dataset, devices=1)
  count = flops.of_function(step.function, *step.arguments)
  once = flops.of_function(step.function, *step.arguments, loops=False)
  cost = step.program.cost_analysis()
  times, product, copy = alternate([step, *ceilings], FLAGS.seconds)
  return Row(
    config.model,
    config.preset,
    count,
    cost['flops'],
    cost['bytes accessed'] if count == once else None,
    times,
    2 * FLAGS.side**3 / product.median,
    2 * FLAGS.copied / copy.median,
  )


def make_ceilings() -> list[Run]:
  """A product of square matrices and a copy."""
  # Not of ones: some accelerators are faster on numbers of few bits.
  square = jax.random.normal(jax.random.key(0), (FLAGS.side, FLAGS.side))
  array = jnp.ones(FLAGS.copied // 4)
  # One more, for a copy alone is no work to a compiler.
  return [_once(lambda x: x @ x, square), _once(lambda x: x + 1, array)]


def _once(function: Callable[[jax.Array], jax.Array], x: jax.Array) -> Run:
  compiled = jax.jit(function)

  def run() -> int:
    jax.block_until_ready(compiled(x))
    return 1

  return run


HEADER = (
  'model         preset   GFLOP/step  ms/step  GFLOP/s  % of matmul  '
  'MB/step    GB/s  % of copy'
)


def line(row: Row) -> str:
  seconds = row.seconds.median
  text = (
    f'{row.model:13} {row.preset:8} {row.flops / 1e9:10.3f} '
    f'{1e3 * seconds:8.1f} {row.rate / 1e9:8.1f} {100 * row.of_matmul:12.0f} '
  )
  if row.bytes is None:
    return f'{text}{"-":>8} {"-":>7} {"-":>10}'
  return (
    f'{text}{row.bytes / 1e6:8.0f} {row.bytes / seconds / 1e9:7.1f} '
    f'{100 * row.of_copy:10.0f}'
  )


def draw(figure: Any, rows: Sequence[Row]) -> None:
  """Shares of the product below the roof, over FLOP/byte where that is known.

  Shares, because each row has ceilings of its own; the roof is their median.
  """
  panel = figure.add_subplot(
    xscale='log', yscale='log', xlabel='FLOP/byte', ylabel='share of product'
  )
  ridge = statistics.median(row.matmul / row.copy for row in rows)
  intensities = [0.1, ridge, 10 * ridge]
  panel.plot(intensities, [min(1, x / ridge) for x in intensities], 'k-')
  for row in rows:
    if row.bytes is None:
      panel.axhline(row.of_matmul, linestyle=':')
      place = (intensities[0], row.of_matmul)
    else:
      place = (row.flops / row.bytes, row.of_matmul)
      panel.plot(*place, 'o')
    name = f' {row.model} {row.preset}'
    panel.annotate(name, place, va='bottom', fontsize='x-small')


def main() -> None:
  if not FLAGS.seconds > 0:
    raise InputError(f'seconds must be > 0; got {FLAGS.seconds}')
  configs = chosen(NEED_NO_FILES)
  enable_cache()
  record = report.begin()
  ceilings = make_ceilings()
  datasets = {
    name: load_dataset(name) for name in {config.dataset for config in configs}
  }
  say(HEADER)
  rows = []
  for config in configs:
    rows.append(measure(config, datasets[config.dataset], ceilings))
    say(line(rows[-1]))
  report.finish(
    'roofline',
    record,
    [
      dataclasses.asdict(row)
      | {name: getattr(row, name) for name in ('of_matmul', 'of_copy')}
      for row in rows
    ],
    lambda figure: draw(figure, rows),
  )


if __name__ == '__main__':
  commandline.run(main)
