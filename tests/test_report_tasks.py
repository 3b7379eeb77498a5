"""Which tables suit which data."""

import importlib
import json
import math
import pathlib
import types

import pytest

from gen1shot.errors import InputError
from gen1shot.evaluation.likelihood import Figure

ROOT = pathlib.Path(__file__).parent.parent


@pytest.fixture
def reports(monkeypatch):
  monkeypatch.syspath_prepend(str(ROOT / 'experiments'))
  return importlib.import_module('reports')


def data(kind, num_classes=9, smallest_class=2):
  return types.SimpleNamespace(
    kind=kind, num_classes=num_classes, smallest_class=smallest_class
  )


@pytest.mark.parametrize(
  ('name', 'dataset', 'tasks'),
  [
    (
      'omniglot',
      data('images'),
      {'likelihood', 'classification', 'activity'},
    ),
    ('folder', data('images', 4), {'likelihood', 'activity'}),
    ('folder', data('images', 9, 1), {'likelihood', 'activity'}),
    ('points', data('vectors'), {'likelihood', 'activity'}),
    ('distributions', data('vectors'), {'likelihood', 'activity', 'probe'}),
  ],
)
def test_tasks_suit_their_data(reports, name, dataset, tasks):
  suiting = {
    task for task, made in reports.TASKS.items() if made.suits(name, dataset)
  }
  assert suiting == tasks


def test_other_tasks_are_refused(reports):
  reports.check_task('probe', 'distributions', data('vectors'))
  with pytest.raises(InputError, match='for distributions; got points'):
    reports.check_task('probe', 'points', data('vectors'))
  with pytest.raises(InputError, match=r'images of 5 .*; got points, of vec'):
    reports.check_task('classification', 'points', data('vectors'))
  with pytest.raises(InputError, match='got folder, of images in 4 classes'):
    reports.check_task('classification', 'folder', data('images', 4))


def test_a_classification_leaves_out_what_the_data_cannot_give(
  reports, monkeypatch, capsys
):
  asked = []

  def measure(trained, dataset, key, *, rule, ways, shots, **kwargs):
    asked.append((rule, ways, shots))
    return {'accuracy': 0.0}

  monkeypatch.setattr(reports, 'measure_accuracy', measure)
  monkeypatch.setattr(reports, '_protocol', lambda trained, flags: {})
  flags = types.SimpleNamespace(
    seed=0, classification_tasks=2, classification_samples=2
  )
  report = reports.classification_report(None, data('images', 9, 5), flags)
  assert {(ways, shots) for _, ways, shots in asked} == {(5, 1)}
  assert [row['ways'] for row in report.rows] == [5]
  assert '20-way 1-shot left out' in capsys.readouterr().out


def test_an_error_that_is_not_known_is_null(reports, tmp_path):
  """JSON has no infinity."""
  figures = {'one': Figure(1.5, math.inf), 'many': Figure(2.5, 0.5)}
  reports.Report({'K': 1}, [figures]).publish(tmp_path / 'a.json')

  def refuse(constant):
    raise AssertionError(constant)

  text = (tmp_path / 'a.json').read_text()
  (row,) = json.loads(text, parse_constant=refuse)['rows']
  assert row == {
    'one': {'mean': 1.5, 'stderr': None},
    'many': {'mean': 2.5, 'stderr': 0.5},
  }


def test_models_of_other_data_do_not_share_a_table(monkeypatch, reports):
  comparison = importlib.import_module('comparison')

  def trained(fingerprint, split):
    return types.SimpleNamespace(
      data=types.SimpleNamespace(fingerprint=fingerprint),
      config=types.SimpleNamespace(
        dataset='omniglot', split=split, split_seed=0
      ),
    )

  runs = {
    pathlib.Path('a'): (trained('x', '30-20'), None),
    pathlib.Path('b'): (trained('y', '40-10'), None),
  }
  with pytest.raises(InputError, match=r'a: omniglot 30-20 .*, b: omniglot 40'):
    comparison.comparison_report(runs, types.SimpleNamespace())
