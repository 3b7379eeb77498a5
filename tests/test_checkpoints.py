"""Checkpoints: which are kept, and what becomes of damaged ones."""

import jax
import jax.numpy as jnp
import pytest
from trees import assert_same_bits

from gen1shot.checkpoints import Checkpoints
from gen1shot.errors import InputError

STATE = {
  'weights': jax.random.normal(jax.random.key(0), (300, 20)),
  'step': jnp.int32(0),
}


def state_of(step):
  return {'weights': STATE['weights'] + step, 'step': jnp.int32(step)}


def save(folder, bounds, keep=2):
  """A checkpoint a step 1, 2, ...; returns the steps that were kept."""
  with Checkpoints(folder, keep) as checkpoints:
    for step, bound in enumerate(bounds, 1):
      checkpoints.save(step, state_of(step), bound)
  return sorted(
    int(path.name) for path in folder.iterdir() if path.name.isdecimal()
  )


def reopen(folder, question='latest'):
  with Checkpoints(folder, 2) as checkpoints:
    return getattr(checkpoints, question)(STATE)


def flip(folder):
  """One bit of the largest file, where the weights are."""
  path = max(
    (path for path in folder.rglob('*') if path.is_file()),
    key=lambda path: path.stat().st_size,
  )
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 1
  path.write_bytes(content)


def truncate(folder):
  for path in folder.rglob('*'):
    if path.is_file() and path.stat().st_size > 10_000:
      path.write_bytes(path.read_bytes()[:5000])


def test_the_latest_and_the_best_are_kept(tmp_path):
  assert save(tmp_path, [-5.0, -1.0, -4.0, -3.0, -2.0]) == [2, 4, 5]
  assert_same_bits(reopen(tmp_path, 'latest'), state_of(5))
  assert_same_bits(reopen(tmp_path, 'best'), state_of(2))


def test_a_new_folder_has_no_checkpoint(tmp_path):
  assert reopen(tmp_path / 'new') is None


@pytest.mark.parametrize('damage', [flip, truncate])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
  tmp_path, caplog, damage
):
  save(tmp_path, [-3.0, -2.0, -1.0])
  damage(tmp_path / '3')
  assert_same_bits(reopen(tmp_path), state_of(2))
  assert_same_bits(reopen(tmp_path, 'best'), state_of(2))
  warnings = [record.getMessage() for record in caplog.records]
  assert any('checkpoint 3 skipped' in message for message in warnings)


def test_nothing_but_damaged_checkpoints_is_an_error(tmp_path):
  save(tmp_path, [-3.0, -2.0])
  for path in tmp_path.iterdir():
    flip(path)
  with pytest.raises(InputError, match='2 damaged'):
    reopen(tmp_path)
