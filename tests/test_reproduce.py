"""The table of cells, how it is measured, and what of it cards record."""

import collections
import dataclasses
import importlib
import os
import shutil
import types

import numpy as np
import pytest
from binaries import ROOT, refused
from fake import Fake

import gen1shot
from gen1shot import runs, shipped
from gen1shot.data.episodes import EpisodeSpec, ImageClasses
from gen1shot.errors import InputError
from gen1shot.evaluation import likelihood

WITHOUT_FILES = ('distributions', 'bars', 'glyphs')


@pytest.fixture(scope='module')
def reproduce():
  with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(ROOT / 'experiments'))
    yield importlib.import_module('reproduce')


@pytest.fixture
def cells(reproduce):
  return reproduce.CELLS


# --- the table


def test_a_cell_has_one_row(cells):
  names = [(cell.model, cell.name) for cell in cells]
  assert len(set(names)) == len(names)


def test_a_table_has_one_protocol(cells):
  tables = collections.defaultdict(list)
  for cell in cells:
    tables[cell.model, cell.table].append((cell.task, cell.protocol))
  for same in tables.values():
    assert all(each == same[0] for each in same)


def test_the_rows_of_a_model_and_of_a_table_stand_together(cells):
  for kind in (lambda c: c.model, lambda c: (c.model, c.table)):
    runs_of = [
      kind(b)
      for a, b in zip((None, *cells[:-1]), cells, strict=True)
      if not a or kind(a) != kind(b)
    ]
    assert len(set(runs_of)) == len(runs_of)


def test_what_was_published_has_a_source(cells):
  for cell in cells:
    assert (cell.published is None) == (cell.source is None)
  published = {
    (cell.model, cell.name): cell.published
    for cell in cells
    if cell.published is not None
  }
  assert published['gmn-omniglot', 'with-replacement/predictive-4'] == -74.2
  assert published['vae-omniglot', 'without-replacement/predictive-0'] == -89.2
  # With replacement and without are never mixed up.
  assert ('gmn-omniglot', 'without-replacement/predictive-4') not in published


def test_every_model_of_the_package_has_cells(cells):
  assert set(gen1shot.names()) <= {cell.model for cell in cells}


def test_cells_are_chosen_by_name_and_pattern(reproduce):
  choose = reproduce.choose
  shipping = ('gmn-omniglot', 'lda-bars')
  assert {cell.model for cell in choose(shipping, None, None)} == set(shipping)
  chosen = choose(shipping, ['lda-bars'], ['*/kl'])
  assert [(c.model, c.name) for c in chosen] == [('lda-bars', 'documents/kl')]
  assert len(choose(shipping, None, ['documents/*', '*/gain-4'])) == 4
  with pytest.raises(InputError, match="did you mean 'lda-bars'"):
    choose(shipping, ['lda-bras'], None)
  with pytest.raises(InputError, match=r"documents/kl.*; got \['kl'\]"):
    choose(shipping, ['lda-bars'], ['kl'])


# --- measures


@pytest.fixture(scope='module')
def images():
  rng = np.random.default_rng(0)
  classes = rng.integers(0, 2, (30, 6, 5, 6, 1), dtype=np.uint8)
  return ImageClasses.stack(list(classes))


def test_likelihoods_are_those_of_an_evaluation(reproduce, images, key):
  trained = types.SimpleNamespace(module=Fake(0.5), params={})
  spec = {'length': 3, 'max_classes': 2, 'replacement': True}
  found = reproduce.TASKS['likelihood'](
    trained, images, key, episodes=4, num_samples=2, **spec
  )
  *positions, joint = likelihood.summary(
    likelihood.estimate(Fake(0.5), {}, images, EpisodeSpec(4, **spec), 2, key)
  )
  assert found['joint'] == joint['predictive']
  assert found['joint-bound'] == joint['bound']
  for t, row in enumerate(positions):
    assert found[f'predictive-{t}'] == row['predictive']
    assert found[f'bound-{t}'] == row['bound']
    assert found[f'gain-{t}'] == row['gain']
  assert found['predictive-2'] != found['predictive-1']


def test_a_joint_figure_can_be_measured_alone(reproduce, images, key):
  trained = types.SimpleNamespace(module=Fake(), params={})
  found = reproduce.TASKS['joint'](
    trained, images, key, episodes=50, length=3, num_samples=2
  )
  # Minus the ink of an image, 30 pixels of 1/2; sets of three.
  assert found['joint'].mean == pytest.approx(-15, abs=1)
  assert found['joint'].stderr == pytest.approx((7.5 / 3 / 50) ** 0.5, rel=0.4)
  assert found['joint-bound'] == found['joint']


@pytest.mark.parametrize('name', gen1shot.names())
def test_every_cell_can_be_measured(reproduce, name, capsys):
  data_dir = os.environ.get('GEN1SHOT_DATA_DIR')
  trained = runs.load_shipped(name)
  if trained.config.dataset not in WITHOUT_FILES and not data_dir:
    pytest.skip('GEN1SHOT_DATA_DIR names no folder with the real data')
  dataset = trained.load_source(data_dir).test
  cells = reproduce.choose((name,), None, None)
  measured = list(reproduce.measure(trained, dataset, cells, fast=True))
  assert [cell for table, _ in measured for cell in table] == cells
  for table, figures in measured:
    reproduce.show(trained, table, figures)
    printed = capsys.readouterr().out
    for cell, figure in zip(table, figures, strict=True):
      assert figure.cell == cell.name
      assert np.isfinite([figure.value, figure.stderr]).all()
      assert cell.metric in printed
      assert cell.published is None or str(cell.published) in printed
      if cell.metric == 'accuracy':
        assert 0 <= figure.value <= 100


# --- cards


def figures_of(reproduce, name, value):
  return [
    reproduce.Measured(
      cell.name, value, 1.0, reproduce.protocol_of(cell), 2.0, 'cpu', 'today'
    )
    for cell in reproduce.CELLS
    if cell.model == name
  ]


@pytest.fixture
def folder(tmp_path):
  """A copy of one model of the package."""
  for suffix in ('npz', 'json'):
    shutil.copy(shipped.FOLDER / f'lda-bars.{suffix}', tmp_path)
  card = shipped.read_card('lda-bars', tmp_path)
  shipped.write_card(dataclasses.replace(card, figures=()), tmp_path)
  return tmp_path


def test_figures_are_recorded_in_the_order_of_the_cells(reproduce, folder):
  first, second, third = figures_of(reproduce, 'lda-bars', 3.0)
  before = shipped.load('lda-bars', folder)
  reproduce.write('lda-bars', [third, first], folder)
  reproduce.write('lda-bars', [second], folder)
  card = shipped.load('lda-bars', folder).card
  assert card.figures == (first, second, third)
  assert dataclasses.replace(card, figures=()) == before.card
  again = dataclasses.replace(second, value=4.0)
  reproduce.write('lda-bars', [again], folder)
  figures = shipped.read_card('lda-bars', folder).figures
  assert figures == (first, again, third)


def test_figures_of_another_protocol_are_dropped(reproduce, folder):
  first, second, third = figures_of(reproduce, 'lda-bars', 3.0)
  stale = dataclasses.replace(first, protocol=first.protocol | {'seed': 7})
  gone = dataclasses.replace(first, cell='documents/colour')
  card = shipped.read_card('lda-bars', folder)
  shipped.write_card(
    dataclasses.replace(card, figures=(stale, gone, second)), folder
  )
  reproduce.write('lda-bars', [third], folder)
  assert shipped.read_card('lda-bars', folder).figures == (second, third)


@pytest.mark.parametrize('name', gen1shot.names())
def test_cards_have_figures_of_the_table_alone(reproduce, name):
  """In its order, by its protocols; whole tables, or none of them."""
  protocols = {
    cell.name: (cell.table, reproduce.protocol_of(cell))
    for cell in reproduce.CELLS
    if cell.model == name
  }
  figures = shipped.read_card(name).figures
  for figure in figures:
    assert figure.protocol == protocols[figure.cell][1]
    assert figure.stderr >= 0
  tables = {protocols[figure.cell][0] for figure in figures}
  assert [figure.cell for figure in figures] == [
    cell for cell, (table, _) in protocols.items() if table in tables
  ]


def test_figures_of_a_test_are_not_recorded():
  refused('reproduce', '--fast', '--write', expected='got --fast, too')
