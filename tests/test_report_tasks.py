"""Which tables suit which data."""

import importlib
import pathlib

import pytest

from gen1shot.errors import InputError

ROOT = pathlib.Path(__file__).parent.parent


@pytest.fixture
def reports(monkeypatch):
  monkeypatch.syspath_prepend(str(ROOT / 'experiments'))
  return importlib.import_module('reports')


@pytest.mark.parametrize(
  ('dataset', 'kind', 'tasks'),
  [
    ('omniglot', 'images', {'likelihood', 'classification', 'activity'}),
    ('points', 'vectors', {'likelihood', 'activity'}),
    ('distributions', 'vectors', {'likelihood', 'activity', 'probe'}),
  ],
)
def test_tasks_suit_their_data(reports, dataset, kind, tasks):
  suiting = {
    name for name, task in reports.TASKS.items() if task.suits(dataset, kind)
  }
  assert suiting == tasks


def test_other_tasks_are_refused(reports):
  reports.check_task('probe', 'distributions', 'vectors')
  with pytest.raises(InputError, match='for distributions; got points'):
    reports.check_task('probe', 'points', 'vectors')
  with pytest.raises(InputError, match='for images; got points, of vectors'):
    reports.check_task('classification', 'points', 'vectors')
