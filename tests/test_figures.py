"""Figures of contexts and summaries, where matplotlib is installed."""

import importlib
import pathlib
import sys

import numpy as np
import pytest
from PIL import Image

from gen1shot.data.reals import Law
from gen1shot.errors import InputError

ROOT = pathlib.Path(__file__).parent.parent
E = 40


@pytest.fixture
def figures(monkeypatch):
  monkeypatch.syspath_prepend(str(ROOT / 'experiments'))
  return importlib.import_module('figures')


@pytest.fixture
def law():
  rng = np.random.default_rng(0)
  return Law(rng.integers(0, 4, E), rng.normal(size=E), rng.random(E))


@pytest.mark.parametrize('size', [3, 5])
def test_contexts_have_three_panels(figures, law, size, tmp_path):
  pytest.importorskip('matplotlib')
  means = np.random.default_rng(1).normal(size=(E, size))
  figure = figures.contexts(means, law)
  titles = [panel.get_title() for panel in figure.axes if panel.get_title()]
  assert titles == ['family', 'mean', 'variance']
  path = tmp_path / 'contexts.png'
  figures.save(figure, path)
  with Image.open(path) as image:
    assert image.format == 'PNG'
    assert image.width == 3 * image.height


def test_two_dimensions_are_too_few(figures, law):
  with pytest.raises(InputError, match='3 dimensions; got 2'):
    figures.contexts(np.zeros((E, 2)), law)


def test_a_summary_is_drawn_over_its_cloud(figures):
  pytest.importorskip('matplotlib')
  points = np.random.default_rng(1).normal(size=(9, 50, 2))
  kept = np.tile(np.arange(50) < 6, (9, 1))
  samples = np.random.default_rng(2).normal(size=(9, 20, 2))
  panels = figures.summaries(points, kept, samples).axes
  assert len(panels) == 2 * 9
  for i, cloud in enumerate(points):
    above, below = panels[2 * i : 2 * i + 2]
    (black,) = (drawn.get_offsets() for drawn in above.collections)
    np.testing.assert_array_equal(black, samples[i])
    blue, red = (drawn.get_offsets() for drawn in below.collections)
    np.testing.assert_array_equal(blue, cloud[6:])
    np.testing.assert_array_equal(red, cloud[:6])


def test_without_matplotlib_the_extra_is_named(figures, monkeypatch):
  monkeypatch.setitem(sys.modules, 'matplotlib.figure', None)
  with pytest.raises(InputError, match=r'gen1shot\[plots\]'):
    figures.summaries(
      np.zeros((1, 5, 2)), np.ones((1, 5), bool), np.zeros((1, 5, 2))
    )
