"""Prints the tables of the README: the trained models, and how good they are.

  python experiments/results.py

In Markdown, from the cards of the models that come with the package; what a
figure was measured by is in cells.py, and `reproduce.py` measures it again.
"""

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Sequence

from cells import CELLS, Cell

from gen1shot import commandline, shipped
from gen1shot.cards import Card, Measured

# Of a protocol: what is shown, and as what; the name of a table tells the rest.
_SHOWN = {
  'episodes': 'episodes',
  'tasks': 'tasks',
  'sets': 'sets',
  'length': 'T',
  'max_classes': 'C',
  'num_samples': 'K',
}
_BYTES = 1e6


def models() -> list[str]:
  """A row a trained model: what it is and how it was trained."""
  rows = [
    ('model', 'system', 'data', 'steps', 'parameters', 'MB', 'trained on')
  ]
  for name in shipped.names():
    card = shipped.read_card(name)
    weights = shipped.FOLDER / f'{name}.npz'
    rows.append(
      (
        f'`{name}`',
        card.title,
        _data(card),
        f'{card.step:,}',
        f'{card.parameters:,}',
        f'{len(weights.read_bytes()) / _BYTES:.1f}',
        card.hardware or '',
      )
    )
  return _table(rows)


def figures() -> list[str]:
  """A row for figures of one model and protocol that differ in a number."""
  rows = [('model', 'figure', 'of', 'ours', 'published', 'seconds')]
  for name, cells in itertools.groupby(CELLS, lambda cell: cell.model):
    if name not in shipped.names():
      continue
    known = {f.cell: f for f in shipped.read_card(name).figures}
    for _, same in itertools.groupby(cells, _family):
      measured = [(c, known[c.name]) for c in same if c.name in known]
      if measured:
        rows.append((f'`{name}`', *_row(measured)))
  return _table(rows)


def _family(cell: Cell) -> tuple[str, str]:
  """What cells of a row share: the table, and the metric but for its number."""
  return cell.table, re.sub(r'-\d+$', '', cell.metric)


def _row(measured: Sequence[tuple[Cell, Measured]]) -> Iterator[str]:
  cells, ours = zip(*measured, strict=True)
  table, metric = _family(cells[0])
  numbers = [c.metric[len(metric) + 1 :] for c in cells]
  yield metric + (f', {" / ".join(numbers)}' if numbers[0] else '')
  protocol = ', '.join(
    f'{short} {ours[0].protocol[name]}'
    for name, short in _SHOWN.items()
    if name in ours[0].protocol
  )
  yield f'{table}: {protocol}'
  error = max(figure.stderr for figure in ours)
  tiny = 0 < error < 0.1
  digits = 1 - math.floor(math.log10(error)) if tiny else 1
  values = ' / '.join(f'{figure.value:.{digits}f}' for figure in ours)
  yield f'{values} (± {error:.{digits}f})'
  yield _published(cells)
  yield f'{ours[0].seconds:.0f}'


def _published(cells: Sequence[Cell]) -> str:
  figures = [cell.published for cell in cells]
  if set(figures) == {None}:
    return ''
  values = ' / '.join('-' if f is None else f'{f:g}' for f in figures)
  (source,) = {cell.source for cell in cells} - {None}
  return f'{values} ({source})'


def _data(card: Card) -> str:
  config = card.config
  return config.dataset + (
    f' {config.split}' if config.dataset == 'omniglot' else ''
  )


def _table(rows: Iterable[Sequence[str]]) -> list[str]:
  head, *body = ['| ' + ' | '.join(row) + ' |' for row in rows]
  return [head, '|---' * (head.count('|') - 1) + '|', *body]


def main() -> None:
  print('\n'.join([*models(), '', *figures()]))


if __name__ == '__main__':
  commandline.run(main)
