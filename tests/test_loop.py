"""The training loop compiles nothing anew, and its steps transfer nothing."""

import jax
import numpy as np
import pytest
from tiny import RUN

from gen1shot import compilation, runs

COMPILED = '/jax/core/compile/backend_compile_duration'


@pytest.fixture
def compiled():
  """The names of what has been compiled since, in order."""
  names = []

  def listen(event, seconds, **told):
    del seconds
    if event == COMPILED:
      names.append(told['fun_name'])

  jax.monitoring.register_event_duration_secs_listener(listen)
  yield names
  jax.monitoring.unregister_event_duration_listener(listen)


def test_after_the_first_checkpoint_nothing_is_compiled(
  compiled, monkeypatch, tmp_path
):
  save, counts = runs.sheets.save, []

  def save_and_count(*args):
    save(*args)
    counts.append(len(compiled))

  monkeypatch.setattr(runs.sheets, 'save', save_and_count)
  runs.train_and_evaluate(RUN, tmp_path)
  assert compiled.count('jit(step)') == 1
  assert compiled.count('jit(validate)') == 1
  assert len(counts) == 3  # steps 2, 4 and 6
  assert compiled[counts[0] :] == []


def test_a_step_that_transfers_what_nobody_asked_for_is_stopped(
  monkeypatch, tmp_path
):
  jit_step = compilation.jit_step

  def careless(module, function, **kwargs):
    step = jit_step(module, function, **kwargs)

    def wrapped(state, dataset, key):
      state, metrics = step(state, dataset, key)
      return state, metrics | {'bound': metrics['bound'] + np.float32(1)}

    return wrapped

  monkeypatch.setattr(compilation, 'jit_step', careless)
  with pytest.raises(Exception, match='Disallowed host-to-device transfer'):
    runs.train_and_evaluate(RUN, tmp_path)
