"""Checkpoints: which are kept, and what becomes of damaged ones."""

import shutil

import chex
import jax
import jax.numpy as jnp
import pytest

import gen1shot.checkpoints
from gen1shot.checkpoints import Checkpoints, best, recover
from gen1shot.errors import InputError

STATE = {
  'weights': jax.random.normal(jax.random.key(0), (300, 20)),
  'step': jnp.int32(0),
}


def state_of(step):
  return {'weights': STATE['weights'] + step, 'step': jnp.int32(step)}


def save(folder, bounds, keep=2, after=0):
  """A checkpoint a step after + 1, ...; returns the steps that were kept."""
  with Checkpoints(folder, keep) as checkpoints:
    for step, bound in enumerate(bounds, after + 1):
      checkpoints.save(step, state_of(step), bound)
  return sorted(
    int(path.name) for path in folder.iterdir() if path.name.isdecimal()
  )


def flip(path):
  """One bit in the middle of a file."""
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 1
  path.write_bytes(content)


def halved(path):
  content = path.read_bytes()
  return content[: len(content) // 2]


def tree_of(folder):
  return {path.relative_to(folder) for path in folder.rglob('*')}


def test_the_latest_and_the_best_are_kept(tmp_path):
  assert save(tmp_path, [-5.0, -1.0, -4.0, -3.0, -2.0]) == [2, 4, 5]
  chex.assert_trees_all_equal(recover(tmp_path, STATE), state_of(5))
  chex.assert_trees_all_equal(best(tmp_path, STATE), state_of(2))


def test_one_without_a_bound_is_newest_and_never_best(tmp_path):
  assert save(tmp_path, [-2.0, None]) == [1, 2]
  chex.assert_trees_all_equal(recover(tmp_path, STATE), state_of(2))
  chex.assert_trees_all_equal(best(tmp_path, STATE), state_of(1))
  # Nor is it kept for ever.
  assert save(tmp_path, [-4.0, -5.0], after=2) == [1, 3, 4]


def test_one_without_a_bound_is_better_than_nothing(tmp_path):
  save(tmp_path, [None])
  chex.assert_trees_all_equal(best(tmp_path, STATE), state_of(1))


def test_a_new_folder_has_no_checkpoint(tmp_path):
  assert recover(tmp_path / 'new', STATE) is None
  assert best(tmp_path / 'new', STATE) is None


# --- damage

DAMAGES = {
  'flipped': flip,
  'truncated': lambda path: path.write_bytes(halved(path)),
  'emptied': lambda path: path.write_bytes(b''),
  'deleted': lambda path: path.unlink(),
}


@pytest.fixture(scope='module')
def three(tmp_path_factory):
  """Checkpoints 1, 2 and 3, the last of which is the best."""
  folder = tmp_path_factory.mktemp('three')
  save(folder, [-3.0, -2.0, -1.0], keep=3)
  return folder


@pytest.mark.parametrize('damage', DAMAGES)
def test_any_damaged_file_is_harmless_or_detected(
  three, tmp_path, caplog, damage
):
  """Of every file of a checkpoint in turn."""
  files = [path for path in (three / '3').rglob('*') if path.is_file()]
  assert len(files) > 8
  for file in files:
    folder = tmp_path / str(files.index(file))
    shutil.copytree(three, folder)
    DAMAGES[damage](folder / file.relative_to(three))
    caplog.clear()
    found = best(folder, STATE)
    harmless = int(found['step']) == 3
    # Without the seal there still is the digest of the arrays.
    assert harmless == ((file.name, damage) == ('files.json', 'deleted')), file
    chex.assert_trees_all_equal(found, state_of(3 if harmless else 2))
    assert ('checkpoint 3 skipped' in caplog.text) != harmless
    chex.assert_trees_all_equal(recover(folder, STATE), found)
    assert (folder / '3.damaged').exists() != harmless


def test_flipped_bytes_without_a_seal_are_detected(three, tmp_path, caplog):
  """Orbax loads them."""
  folder = tmp_path / 'copy'
  shutil.copytree(three, folder)
  (folder / '3' / 'files.json').unlink()
  flip(max(folder.glob('3/**/d/*'), key=lambda path: path.stat().st_size))
  chex.assert_trees_all_equal(best(folder, STATE), state_of(2))
  assert 'checkpoint 3 skipped: its content does not match' in caplog.text


def test_an_unfinished_folder_is_no_checkpoint(three, tmp_path):
  folder = tmp_path / 'copy'
  shutil.copytree(three, folder)
  shutil.copytree(three / '3', folder / '4.orbax-checkpoint-tmp')
  (folder / '5').mkdir()
  shutil.rmtree(folder / '3' / 'state' / 'd')
  chex.assert_trees_all_equal(best(folder, STATE), state_of(2))
  chex.assert_trees_all_equal(recover(folder, STATE), state_of(2))


def test_a_bound_that_was_changed_is_detected(three, tmp_path):
  folder = tmp_path / 'copy'
  shutil.copytree(three, folder)
  (folder / '1' / 'metrics' / 'metrics').write_text('{"bound": 7.0}')
  chex.assert_trees_all_equal(best(folder, STATE), state_of(3))


def test_damaged_twice_is_set_aside_twice(three, tmp_path):
  folder = tmp_path / 'copy'
  shutil.copytree(three, folder)
  for _ in range(2):
    shutil.copytree(three / '3', folder / '3', dirs_exist_ok=True)
    (folder / '3' / 'state' / '_METADATA').write_text('')
    chex.assert_trees_all_equal(recover(folder, STATE), state_of(2))
    assert not (folder / '3').exists()
  # Orbax would not save what is older than it finds, nor the same again.
  save(folder, [-1.0], after=2)
  chex.assert_trees_all_equal(recover(folder, STATE), state_of(3))


def test_reading_leaves_everything_as_it_is(three, tmp_path):
  folder = tmp_path / 'copy'
  shutil.copytree(three, folder)
  (folder / '3' / 'state' / '_METADATA').write_text('')
  before = tree_of(folder)
  best(folder, STATE)
  assert tree_of(folder) == before


@pytest.mark.parametrize('question', [recover, best])
def test_nothing_but_damaged_checkpoints_is_an_error(three, tmp_path, question):
  folder = tmp_path / 'copy'
  shutil.copytree(three, folder)
  for path in folder.iterdir():
    (path / 'state' / '_METADATA').write_text('')
  before = tree_of(folder)
  with pytest.raises(InputError, match='3 that are not'):
    question(folder, STATE)
  assert tree_of(folder) == before


def test_what_is_replaced_while_it_is_read_gives_way(
  three, tmp_path, monkeypatch, caplog
):
  """Another process has saved a better one, and deleted the best so far."""
  folder = tmp_path / 'copy'
  shutil.copytree(three, folder)
  load = gen1shot.checkpoints._load

  def late(path, like):
    if path.name == '3':
      with Checkpoints(folder, 1) as checkpoints:
        checkpoints.save(4, state_of(4), -0.5)
      assert not path.exists()
    return load(path, like)

  monkeypatch.setattr(gen1shot.checkpoints, '_load', late)
  chex.assert_trees_all_equal(best(folder, STATE), state_of(4))
  assert caplog.text == ''


def fail(*args, **kwargs):
  raise ValueError('RESOURCE_EXHAUSTED: No space left\non device')


def test_a_disk_that_is_full_is_one_line(tmp_path, monkeypatch):
  """Orbax says it again when it is closed."""
  checkpoints = Checkpoints(tmp_path, 2)
  monkeypatch.setattr(checkpoints._checkpointer, 'save', fail)
  monkeypatch.setattr(checkpoints._checkpointer, 'close', fail)
  with (
    pytest.raises(InputError, match='step 2 could not') as caught,
    checkpoints,
  ):
    checkpoints.save(2, STATE)
  assert str(caught.value).endswith('No space left')


def test_closing_does_not_hide_an_error(tmp_path, monkeypatch):
  with (
    pytest.raises(ValueError, match='No space left'),
    Checkpoints(tmp_path, 2) as checkpoints,
  ):
    monkeypatch.setattr(checkpoints._checkpointer, 'close', fail)
