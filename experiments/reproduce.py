"""Measures the figures of the README's tables again, of the weights that ship.

  python experiments/reproduce.py --data_dir=...
  python experiments/reproduce.py --names=lda-bars --cells='*/perplexity'

Each cell is a row of cells.py, with a seed and a number of samples K of its
own. Prints ours with its standard error, what was published, and the
difference. --write records them in the cards, table by table. --fast measures
a few episodes with K = 2, to see that everything runs; its figures mean
nothing.
"""

import dataclasses
import datetime
import fnmatch
import itertools
import pathlib
import time
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import reports
from absl import flags
from cells import CELLS, FAST, Cell
from measures import TASKS

from gen1shot import commandline, compilation, runs, shipped
from gen1shot.cards import Measured
from gen1shot.data.episodes import Dataset
from gen1shot.errors import InputError, check_choice
from gen1shot.evaluation.likelihood import Figure
from gen1shot.progress import device_name, say

PART, SEED = 'test', 0

FLAGS = flags.FLAGS
flags.DEFINE_list('names', None, 'of trained models; default all that ship')
flags.DEFINE_list(
  'cells', None, 'patterns such as *predictive-0 or probes/*; default all'
)
flags.DEFINE_string('data_dir', None, 'where the files of data are')
flags.DEFINE_bool('fast', False, 'a few episodes with K = 2, as a test')
flags.DEFINE_bool('write', False, 'record the figures in the cards')
flags.DEFINE_string('weights', str(shipped.FOLDER), 'folder of the models')


def main() -> None:
  compilation.enable_cache()
  if FLAGS.fast and FLAGS.write:
    raise InputError('write records figures of whole tables; got --fast, too')
  folder = pathlib.Path(FLAGS.weights).expanduser()
  chosen = choose(shipped.names(folder), FLAGS.names, FLAGS.cells)
  for name, cells in itertools.groupby(chosen, lambda cell: cell.model):
    trained = runs.load_shipped(name, folder)
    dataset = getattr(trained.load_source(FLAGS.data_dir), PART)
    for table, figures in measure(trained, dataset, cells, FLAGS.fast):
      show(trained, table, figures)
      if FLAGS.write:
        write(name, figures, folder)


def choose(
  shipping: tuple[str, ...], names: list[str] | None, patterns: list[str] | None
) -> list[Cell]:
  """The cells of some models whose names match one of the patterns.

  Raises:
    InputError: a name is of no model that ships, or nothing matches.
  """
  if not shipping:
    raise InputError(f'weights must be a folder of models; got {FLAGS.weights}')
  for name in names or ():
    check_choice('names', name, shipping)
  cells = [cell for cell in CELLS if cell.model in (names or shipping)]
  found = [
    cell
    for cell in cells
    if any(fnmatch.fnmatchcase(cell.name, p) for p in patterns or ('*',))
  ]
  if not found:
    known = ', '.join(sorted({cell.name for cell in cells})) or 'none'
    raise InputError(f'cells must match some of {known}; got {patterns}')
  return found


def measure(
  trained: runs.Trained, dataset: Dataset, cells: Iterable[Cell], fast: bool
) -> Iterator[tuple[list[Cell], list[Measured]]]:
  """The cells of a model, table by table, with their figures."""
  done = {}
  for _, table in itertools.groupby(cells, lambda cell: cell.table):
    table = list(table)
    protocol = protocol_of(table[0], fast)
    asked = str(protocol)
    if asked not in done:
      start = time.perf_counter()
      arguments = dict(protocol)
      task, key = arguments.pop('task'), jax.random.key(arguments.pop('seed'))
      del arguments['part']
      found = TASKS[task](trained, dataset, key, **arguments)
      done[asked] = found, round(time.perf_counter() - start, 1)
    found, seconds = done[asked]
    yield (
      table,
      [
        Measured(
          cell=cell.name,
          value=found[cell.metric].mean,
          stderr=found[cell.metric].stderr,
          protocol=protocol,
          seconds=seconds,
          device=device_name(),
          date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        )
        for cell in table
      ],
    )


def protocol_of(cell: Cell, fast: bool = False) -> dict[str, Any]:
  """All that a figure depends on, beside the weights."""
  protocol = dict(cell.protocol)
  if fast:
    protocol |= {name: FAST[name] for name in protocol.keys() & FAST.keys()}
  return {'task': cell.task, 'part': PART, 'seed': SEED, **protocol}


def show(
  trained: runs.Trained, table: list[Cell], figures: list[Measured]
) -> None:
  """Prints a table: a row a cell."""
  rows = [
    {
      'metric': cell.metric,
      'ours': Figure(figure.value, figure.stderr),
      'published': cell.published,
      'difference': None
      if cell.published is None
      else f'{figure.value - cell.published:+.2f}',
      'source': cell.source,
    }
    for cell, figure in zip(table, figures, strict=True)
  ]
  config = trained.config
  where = {
    'model': table[0].model,
    'dataset': config.dataset,
    'split': config.split,
    'table': table[0].table,
    'device': figures[0].device,
    'seconds': figures[0].seconds,
  }
  reports.Report(where | figures[0].protocol, rows).show()


def write(name: str, figures: list[Measured], folder: pathlib.Path) -> None:
  """Records figures in a model's card, in the order of the cells.

  Those of cells that there are no longer, or that have another protocol now,
  are dropped.
  """
  card = shipped.read_card(name, folder)
  known = {figure.cell: figure for figure in (*card.figures, *figures)}
  kept = tuple(
    known[cell.name]
    for cell in CELLS
    if cell.model == name
    and cell.name in known
    and known[cell.name].protocol == protocol_of(cell)
  )
  shipped.write_card(dataclasses.replace(card, figures=kept), folder)
  say(f'written: {folder / name}.json')


if __name__ == '__main__':
  commandline.run(main)
