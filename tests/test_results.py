"""The tables of the README: what they say, and that it says so."""

import importlib

import pytest
from binaries import ROOT

from gen1shot.cards import Measured


@pytest.fixture
def results(monkeypatch):
  monkeypatch.syspath_prepend(str(ROOT / 'experiments'))
  return importlib.import_module('results')


def measured(cell, value, stderr):
  protocol = {'task': 'likelihood', 'seed': 0, 'num_samples': 7, 'length': 2}
  return Measured(cell, value, stderr, protocol, 61.4, '1 x cpu', '2026-01-02')


def test_figures_that_differ_in_a_number_share_a_row(results, monkeypatch):
  cells = importlib.import_module('cells')

  def cell(metric, published=None):
    source = published and 'A & B 2000'
    return cells.Cell(
      'a-model', 'pairs', 'likelihood', {}, metric, published, source
    )

  table = [
    cell('predictive-0', -90.9),
    cell('predictive-1', -82.8),
    cell('gain-1'),
    cell('joint'),  # not measured yet
  ]
  values = {'predictive-0': -1.24, 'predictive-1': -2.56, 'gain-1': 0.5}
  card = type('Card', (), {})()
  card.figures = tuple(
    measured(f'pairs/{name}', value, 0.04 if name == 'gain-1' else 1.0)
    for name, value in values.items()
  )
  monkeypatch.setattr(results, 'CELLS', table)
  monkeypatch.setattr(results.shipped, 'names', lambda: ('a-model',))
  monkeypatch.setattr(results.shipped, 'read_card', lambda name: card)
  assert results.figures() == [
    '| model | figure | of | ours | published | seconds |',
    '|---|---|---|---|---|---|',
    '| `a-model` | predictive, 0 / 1 | pairs: T 2, K 7 | -1.2 / -2.6 (± 1.0) '
    '| -90.9 / -82.8 (A & B 2000) | 61 |',
    '| `a-model` | gain, 1 | pairs: T 2, K 7 | 0.500 (± 0.040) |  | 61 |',
  ]


@pytest.mark.parametrize('table', ['models', 'figures'])
def test_readme_has_the_tables_of_the_cards(results, table):
  text = (ROOT / 'README.md').read_text()
  rows = getattr(results, table)()
  assert len(rows) > 2
  assert '\n'.join(rows) + '\n' in text
