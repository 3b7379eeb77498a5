"""What benchmarks time: steps, one or several to a run."""

import dataclasses
import time

import chex

from benchmarks import timing, workload
from experiments.configs import get_config

FIELDS = {
  'nets': 'dense',
  'width': 8,
  'features': 8,
  'hidden': 8,
  'z_dim': 4,
  'layers': 1,
}


def test_a_run_of_several_steps_counts_as_their_mean():
  def rest(seconds, steps):
    time.sleep(seconds)
    return steps

  one, ten = timing.alternate(
    [lambda: rest(2e-2, 1), lambda: rest(2e-2, 10)], 1
  )
  assert 2e-3 <= ten.median < one.median / 5


def test_a_training_step_is_measured_as_training_takes_it(monkeypatch):
  """Three a run on what would take three at once; the same three steps."""
  config = dataclasses.replace(
    get_config('vae', 'small'), batch_size=2, fields=FIELDS
  )
  dataset = workload.load_dataset('glyphs')
  steps = []
  for times in (1, 3):
    monkeypatch.setattr(workload, 'steps_at_once', lambda *_, most, n=times: n)
    steps.append(workload.TrainingStep(config, dataset, devices=1))
  one, three = steps
  assert [one() for _ in range(3)] == [1, 1, 1]
  assert three() == 3
  (state, *_), (other, *_) = one.arguments, three.arguments
  assert int(state.step) == int(other.step) == 3
  chex.assert_trees_all_close(state.params, other.params, atol=1e-5)
