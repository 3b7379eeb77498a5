"""Figures drawn with matplotlib, which is the extra `plots`."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gen1shot import files
from gen1shot.data.reals import FAMILIES, Law
from gen1shot.errors import InputError

_PANEL = 4.0  # inches
_SMALL_PANEL = 1.2
_COLUMNS = 8


def contexts(means: np.ndarray, law: Law) -> Any:
  """Context means [E, D] as three clouds, coloured by what each set is of.

  Family, mean and variance, as Edwards & Storkey 2016 have them. Of more than
  three dimensions the first three principal ones are drawn.

  Raises:
    InputError: fewer than three dimensions, or no matplotlib.
  """
  if means.shape[1] < 3:
    raise InputError(f'contexts must have 3 dimensions; got {means.shape[1]}')
  centred = means - means.mean(0)
  axes = np.linalg.svd(centred, full_matrices=False)[2][:3]
  places = (centred @ axes.T).T
  figure = empty(3 * _PANEL, _PANEL)
  panels = [
    figure.add_subplot(1, 3, 1 + i, projection='3d', title=title)
    for i, title in enumerate(('family', 'mean', 'variance'))
  ]
  for number, family in enumerate(FAMILIES):
    chosen = np.asarray(law.family) == number
    panels[0].scatter(*places[:, chosen], s=4, label=family)
  panels[0].legend(loc='lower left', fontsize='small')
  for panel, values in zip(panels[1:], (law.mean, law.variance), strict=True):
    drawn = panel.scatter(*places, c=np.asarray(values), s=4)
    figure.colorbar(drawn, ax=panel, shrink=0.6, pad=0.1)
  for panel in panels:
    panel.set(xticklabels=[], yticklabels=[], zticklabels=[])
  return figure


def summaries(points: np.ndarray, kept: np.ndarray, samples: np.ndarray) -> Any:
  """Sets of points with those that are kept in red, below samples given them.

  Args:
    points: sets [E, T, 2].
    kept: bool [E, T].
    samples: new points given each set, [E, S, 2].

  Raises:
    InputError: no matplotlib.
  """
  rows = -(-len(points) // _COLUMNS)
  figure = empty(_COLUMNS * _SMALL_PANEL, 2 * rows * _SMALL_PANEL)
  for i, (cloud, chosen) in enumerate(zip(points, kept, strict=True)):
    row, column = divmod(i, _COLUMNS)
    place = 1 + 2 * row * _COLUMNS + column
    above = figure.add_subplot(2 * rows, _COLUMNS, place)
    above.scatter(*samples[i].T, s=3, c='black')
    below = figure.add_subplot(2 * rows, _COLUMNS, place + _COLUMNS)
    below.scatter(*cloud[~chosen].T, s=3, c='steelblue')
    below.scatter(*cloud[chosen].T, s=16, c='crimson')
    for panel in (above, below):
      panel.set(xlim=(-3, 3), ylim=(-3, 3), aspect='equal')
      panel.axis('off')
  return figure


def topics(phi: np.ndarray, labels: Sequence[Sequence[str]]) -> Any:
  """Topics [D, V] as a heat map: the probabilities of each one's top words.

  Args:
    phi: a row sums to 1.
    labels: D times W words, those of a topic that are likeliest, in order.

  Raises:
    InputError: no matplotlib.
  """
  highest = -np.sort(-phi, axis=1)[:, : len(labels[0])]
  figure = empty(0.9 * len(labels[0]), 0.4 * len(labels))
  panel = figure.add_subplot(ylabel='topic', xticks=[])
  panel.imshow(highest, aspect='auto', cmap='Blues', vmin=0)
  for row, words in enumerate(labels):
    for column, word in enumerate(words):
      dark = highest[row, column] > 0.6 * highest.max()
      panel.text(
        column,
        row,
        word,
        ha='center',
        va='center',
        fontsize=8,
        color='white' if dark else 'black',
      )
  return figure


def pictures(values: np.ndarray) -> Any:
  """Maps [D, H, W] of values from 0 up, dark where they are high, in a row.

  Raises:
    InputError: no matplotlib.
  """
  figure = empty(len(values) * _SMALL_PANEL, _SMALL_PANEL)
  for i, picture in enumerate(values):
    panel = figure.add_subplot(1, len(values), 1 + i, xticks=[], yticks=[])
    panel.imshow(picture, cmap='Greys', vmin=0, vmax=values.max())
  return figure


def curves(
  points: Mapping[str, Sequence[tuple[int, float]]], label: str
) -> Any:
  """Lines (step, value), by their names; `label` is the value's.

  Raises:
    InputError: no matplotlib.
  """
  figure = empty(2 * _PANEL, _PANEL)
  panel = figure.add_subplot(xlabel='step', ylabel=label)
  for name, line in points.items():
    panel.plot(*zip(*line, strict=True), label=name)
  panel.legend()
  panel.grid(alpha=0.3)
  return figure


def save(figure: Any, path: pathlib.Path) -> None:
  """Writes a figure as PNG.

  Raises:
    InputError: the file cannot be written.
  """
  files.write(path, lambda file: figure.savefig(file, format='png', dpi=120))


def empty(width: float, height: float) -> Any:
  """An empty figure, in inches.

  Raises:
    InputError: no matplotlib.
  """
  try:
    from matplotlib.figure import Figure
  except ImportError as e:
    raise InputError(
      "figures need matplotlib: pip install 'gen1shot[plots]'"
    ) from e
  return Figure(figsize=(width, height), layout='constrained')
