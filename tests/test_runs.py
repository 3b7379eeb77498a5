"""A run survives what befalls it: NaN, more steps, a full disk, SIGTERM."""

import concurrent.futures
import dataclasses
import os
import shutil
import signal

import chex
import jax.numpy as jnp
import pytest
from tiny import RUN, rows_of

from gen1shot import lock, preemption, runs, training, workdir, zoo
from gen1shot.checkpoints import recover
from gen1shot.errors import InputError, NonFiniteError
from gen1shot.objectives import objective
from gen1shot.stages import FromRun

DATA = workdir.Data('', 'images', (8, 8, 1))


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path, monkeypatch):
  """It names the step, and the checkpoint before is kept."""

  def broken(module, config, params, x, key, step, starts, mask):
    value, metrics = objective(
      module, config, params, x, key, step, starts, mask
    )
    # Step 4 is the one that starts from three steps done.
    bad = False if step is None else step == 3
    return jnp.where(bad, jnp.nan, value), metrics

  monkeypatch.setattr(training, 'objective', broken)
  config = dataclasses.replace(RUN, log_every=100)
  with pytest.raises(NonFiniteError, match='at step 4;'):
    runs.train_and_evaluate(config, tmp_path)
  assert runs.load_run(tmp_path).step == 2
  assert max(row['step'] for row in rows_of(tmp_path)) == 2


def test_a_run_can_be_trained_longer(tmp_path):
  runs.train_and_evaluate(dataclasses.replace(RUN, steps=2), tmp_path)
  state = runs.train_and_evaluate(dataclasses.replace(RUN, steps=4), tmp_path)
  assert int(state.step) == 4
  steps = [row['step'] for row in rows_of(tmp_path) if row['part'] == 'valid']
  assert steps == [2, 4]


def test_what_was_stopped_before_its_first_checkpoint_can_start_anew(tmp_path):
  """With other fields: there is nothing to go on with."""
  workdir.write_run(tmp_path, RUN, DATA)
  (tmp_path / 'checkpoints').mkdir()
  (tmp_path / 'metrics.jsonl').write_text('{"step": 1, "part": "tr')
  config = dataclasses.replace(RUN, steps=2)
  runs.train_and_evaluate(config, tmp_path)
  assert workdir.read_run(tmp_path)[0] == config
  assert [row['step'] for row in rows_of(tmp_path)] == [1, 2, 2]


def test_a_run_older_than_a_field_of_its_module_goes_on(tmp_path):
  runs.train_and_evaluate(dataclasses.replace(RUN, steps=2), tmp_path)
  fields = zoo.module_fields(RUN.model, RUN.preset, RUN.fields)
  assert fields.keys() > workdir.read_run(tmp_path)[0].fields.keys()
  config = dataclasses.replace(RUN, steps=3, fields=fields)
  assert int(runs.train_and_evaluate(config, tmp_path).step) == 3


@pytest.mark.parametrize('name', ['lock', 'data.json', 'config.json.tmp'])
def test_a_start_that_was_killed_can_be_made_again(tmp_path, name):
  (tmp_path / name).touch()
  workdir.check_run(tmp_path, RUN, DATA, resume=True)
  (tmp_path / 'notes.txt').touch()
  with pytest.raises(InputError, match='must be new, empty'):
    workdir.check_run(tmp_path, RUN, DATA, resume=True)


def test_a_disk_that_is_full_is_named(tmp_path):
  (tmp_path / 'metrics.jsonl').symlink_to('/dev/full')
  with (
    workdir.MetricsLog(tmp_path) as log,
    pytest.raises(InputError, match='No space left'),
  ):
    log.write(1, 'train', {'bound': -1.0})


# --- one process at a time


def test_a_workdir_has_one_training_at_a_time(tmp_path):
  with lock.hold(tmp_path / 'run'):
    before = sorted((tmp_path / 'run').iterdir())
    with pytest.raises(InputError, match='one process at a time'):
      runs.train_and_evaluate(RUN, tmp_path / 'run')
    assert sorted((tmp_path / 'run').iterdir()) == before
  with lock.hold(tmp_path / 'run'):
    pass


def test_a_workdir_that_cannot_be_made_is_named(tmp_path):
  (tmp_path / 'file').touch()
  with (
    pytest.raises(InputError, match='folder that can be written; got'),
    lock.hold(tmp_path / 'file' / 'run'),
  ):
    pass


# --- preemption


def test_sigterm_is_noticed_while_one_listens():
  before = signal.getsignal(signal.SIGTERM)
  with preemption.Notice() as notice:
    assert not notice.given()
    os.kill(os.getpid(), signal.SIGTERM)
    assert notice.given()
  assert signal.getsignal(signal.SIGTERM) == before


def test_beside_the_main_thread_nobody_listens():
  with concurrent.futures.ThreadPoolExecutor() as pool:
    assert not pool.submit(
      lambda: preemption.Notice().__enter__().given()
    ).result()


def test_a_run_that_is_told_to_stop_in_its_last_step_is_done(
  tmp_path, monkeypatch
):
  class Late(preemption.Notice):
    def given(self):
      return True

  monkeypatch.setattr(runs, 'Notice', Late)
  config = dataclasses.replace(RUN, steps=1)
  assert int(runs.train_and_evaluate(config, tmp_path).step) == 1


@pytest.mark.parametrize('at', [1, 2])
def test_a_run_that_is_told_to_stop_saves_the_step_it_reached(
  tmp_path, monkeypatch, at
):
  """Between two checkpoints, and where there is one anyway."""
  config = dataclasses.replace(RUN, log_every=3)
  expected = runs.train_and_evaluate(config, tmp_path / 'whole')
  folder = tmp_path / 'stopped'

  class After(preemption.Notice):
    """Notices in step `at`."""

    steps = 0

    def given(self):
      self.steps += 1
      return self.steps == at

  with monkeypatch.context() as patch:
    patch.setattr(runs, 'Notice', After)
    with pytest.raises(preemption.PreemptedError, match=f'step {at} is saved'):
      runs.train_and_evaluate(config, folder)
  assert int(recover(folder / 'checkpoints', expected).step) == at
  chex.assert_trees_all_equal(runs.train_and_evaluate(config, folder), expected)
  # What is best does not depend on it.
  assert runs.load_run(folder).step == runs.load_run(tmp_path / 'whole').step
  steps = [row['step'] for row in rows_of(folder) if row['part'] == 'train']
  assert steps == sorted({at, 2, 3, 4, 6})


@pytest.mark.parametrize(('asked', 'at'), [(1, 10), (2, 11), (4, 22)])
def test_a_run_that_is_told_to_stop_goes_on_with_the_same_programs(
  tmp_path, monkeypatch, asked, at
):
  """Of ten steps, one and one, twice; told so in one of them."""
  config = dataclasses.replace(RUN, steps=24, log_every=12, eval_every=24)
  expected = runs.train_and_evaluate(config, tmp_path / 'whole')
  folder, answers = tmp_path / 'stopped', [False] * (asked - 1) + [True]
  with monkeypatch.context() as patch:
    patch.setattr(preemption.Notice, 'given', lambda _: answers.pop(0))
    with pytest.raises(preemption.PreemptedError, match=f'step {at} is saved'):
      runs.train_and_evaluate(config, folder)
  chex.assert_trees_all_equal(runs.train_and_evaluate(config, folder), expected)


# --- a next stage, which goes on from another run


@pytest.fixture
def first(tmp_path):
  """A run of two steps."""
  runs.train_and_evaluate(dataclasses.replace(RUN, steps=2), tmp_path / 'first')
  return tmp_path / 'first'


def test_a_next_stage_goes_on_from_another_run(first, tmp_path):
  """With the bits of a run that was trained longer, and its metrics."""
  config, second = dataclasses.replace(RUN, steps=4), tmp_path / 'second'
  state = runs.train_and_evaluate(config, second, start=FromRun(first))
  chex.assert_trees_all_equal(state, runs.train_and_evaluate(config, first))
  assert rows_of(second) == rows_of(first)


def test_a_next_stage_may_be_trained_differently(first, tmp_path):
  second = tmp_path / 'second'
  other = dataclasses.replace(RUN, steps=4, replacement=True, batch_size=3)
  assert (
    int(runs.train_and_evaluate(other, second, start=FromRun(first)).step) == 4
  )
  assert workdir.read_run(second)[0] == other


def test_a_next_stage_needs_the_first_run_once(first, tmp_path):
  """What it begins with is its own first checkpoint."""
  second = tmp_path / 'second'
  config = dataclasses.replace(RUN, steps=3, eval_every=9)
  runs.train_and_evaluate(config, second, start=FromRun(first))
  assert sorted(
    int(path.name) for path in (second / 'checkpoints').glob('[0-9]*')
  ) == [2, 3]
  shutil.rmtree(first)
  longer = dataclasses.replace(config, steps=4)
  assert (
    int(runs.train_and_evaluate(longer, second, start=FromRun(first)).step) == 4
  )


@pytest.mark.parametrize('left', ['2.orbax-checkpoint-tmp', '2.damaged'])
def test_a_next_stage_killed_in_its_first_save_begins_again(
  first, tmp_path, left
):
  """What is no checkpoint is nothing to go on with."""
  config, second = dataclasses.replace(RUN, steps=3), tmp_path / 'second'
  (second / 'checkpoints' / left).mkdir(parents=True)
  workdir.write_run(second, config, workdir.read_run(first)[1])
  state = runs.train_and_evaluate(config, second, start=FromRun(first))
  assert [row['step'] for row in rows_of(second)][:2] == [1, 2]
  whole = runs.train_and_evaluate(config, tmp_path / 'x', start=FromRun(first))
  chex.assert_trees_all_equal(state, whole)


@pytest.mark.parametrize('text', ['{', '[1]', '{}', '{"start": 5}'])
def test_a_start_that_says_nothing_is_refused(tmp_path, text):
  (tmp_path / 'start.json').write_text(text)
  with pytest.raises(InputError, match='must say what a run began with; got'):
    workdir.read_start(tmp_path)


def test_a_run_that_began_otherwise_is_refused(first, tmp_path):
  """Nobody takes its figures for those of the start that was given."""
  config, second = dataclasses.replace(RUN, steps=3), tmp_path / 'second'
  with pytest.raises(InputError, match='began from nothing; got --start_from'):
    runs.train_and_evaluate(config, first, start=FromRun(second))
  runs.train_and_evaluate(config, second, start=FromRun(first))
  with pytest.raises(InputError, match=r'began with --start_from=.*first; got'):
    runs.train_and_evaluate(config, second, start=FromRun(tmp_path / 'third'))


@pytest.mark.parametrize(
  ('changed', 'message'),
  [
    ({'fields': RUN.fields | {'width': 9}}, 'width was 8, is 9'),
    ({'steps': 2}, 'steps must be > 2'),
  ],
)
def test_a_next_stage_of_another_kind_is_refused(
  first, tmp_path, changed, message
):
  """Another module, or nothing to do; nothing is written."""
  config = dataclasses.replace(RUN, **changed)
  with pytest.raises(InputError, match=message):
    runs.train_and_evaluate(config, tmp_path / 'second', start=FromRun(first))
  assert not (tmp_path / 'second').exists()


def test_a_next_stage_on_other_data_is_refused(first, tmp_path):
  """Its test part may be what the first run has learned from."""
  data = workdir.read_run(first)[1]
  other = dataclasses.replace(data, fingerprint='another')
  (first / 'data.json').write_text(other.to_json())
  with pytest.raises(InputError, match='fingerprint was another'):
    runs.train_and_evaluate(RUN, tmp_path / 'second', start=FromRun(first))
  assert not (tmp_path / 'second').exists()
