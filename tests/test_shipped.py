"""Trained models by name: one that a test exports, loads and spoils."""

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys

import chex
import jax
import numpy as np
import pytest
from binaries import ENVIRONMENT, ROOT, binary, refused, run

import gen1shot
from gen1shot import checkpoints, files, runs, shipped, stages
from gen1shot.errors import InputError

NAME = 'tiny-folder'
WEIGHTS = ROOT / 'gen1shot' / 'weights'


@pytest.fixture(scope='module')
def exported(trained, tmp_path_factory):
  """(folder of the model, what the export printed)."""
  folder = tmp_path_factory.mktemp('weights')
  output = run(
    'export',
    f'--workdir={trained[0]}',
    f'--name={NAME}',
    f'--out={folder}',
    '--hardware=one core',
  )
  return folder, output


@pytest.fixture
def folder(exported, tmp_path):
  """A copy of it, to be spoilt."""
  return pathlib.Path(shutil.copytree(exported[0], tmp_path / 'weights'))


def change_card(folder, **fields):
  path = folder / f'{NAME}.json'
  path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def change_weights(folder, change):
  """Other weights, and the card says so."""
  path = folder / f'{NAME}.npz'
  with np.load(path, allow_pickle=False) as arrays:
    np.savez(path, **change(dict(arrays)))
  change_card(folder, sha256=shipped._sha256(path.read_bytes()))


# --- export and load


def test_a_run_is_loaded_as_it_was_exported(trained, exported):
  best = runs.load_run(trained[0])
  module, params, _ = shipped.load(NAME, exported[0])
  assert module == best.module
  # Only rounded, to the bit.
  chex.assert_trees_all_equal(
    params,
    jax.tree.map(lambda x: np.float32(np.float16(np.asarray(x))), best.params),
  )
  assert jax.tree.structure(params) == jax.tree.structure(best.params)
  again = runs.load_shipped(NAME, exported[0])
  assert again.config == dataclasses.replace(best.config, data_dir=None)
  assert (again.data, again.step) == (best.data, best.step)
  chex.assert_trees_all_equal(again.params, params)


def test_the_card_says_what_it_is(trained, exported):
  card = shipped.read_card(NAME, exported[0])
  assert card.title == 'The neural statistician (Edwards & Storkey 2016)'
  assert card.hardware == 'one core'
  assert card.parameters == sum(
    x.size for x in jax.tree.leaves(shipped.load(NAME, exported[0]).params)
  )
  for part in ('--dataset=folder', '--steps=4', '--config.width=8'):
    assert part in card.command.split()
  assert str(trained[0].parent) not in card.to_json()
  assert '--data_dir=...' in card.command.split()
  assert 'model=statistician' in card.command


def test_a_run_goes_on_from_a_model_of_the_package(trained, exported, tmp_path):
  """With its parameters at its step, as its own first checkpoint."""
  _, params, card = shipped.load(NAME, exported[0])
  config = dataclasses.replace(
    runs.load_run(trained[0]).config, steps=card.step + 1, eval_every=9
  )
  start = stages.FromPackage(NAME, exported[0])
  state = runs.train_and_evaluate(config, tmp_path / 'next', start=start)
  assert int(state.step) == card.step + 1
  shutil.rmtree(tmp_path / 'next' / 'checkpoints' / str(card.step + 1))
  begun = checkpoints.recover(tmp_path / 'next' / 'checkpoints', state)
  assert int(begun.step) == card.step
  chex.assert_trees_all_equal(begun.params, params)
  chex.assert_trees_all_equal(begun.averaged, params)
  again = runs.train_and_evaluate(config, tmp_path / 'next')
  chex.assert_trees_all_equal(again, state)


def test_a_model_of_the_package_is_gone_on_with(tmp_path):
  card = shipped.read_card('lda-bars')
  printed = run(
    'train',
    '--model=lda',
    '--load=lda-bars',
    f'--workdir={tmp_path / "next"}',
    f'--steps={card.step + 1}',
  )
  assert f'from step {card.step} to {card.step + 1}' in printed
  assert runs.load_run(tmp_path / 'next').step == card.step + 1
  out = tmp_path / 'weights'
  run('export', f'--workdir={tmp_path / "next"}', '--name=next', f'--out={out}')
  command = shipped.read_card('next', out).command.split()
  assert command[-1] == '--load=lda-bars'


def test_the_command_of_a_card_gives_its_configuration(exported, tmp_path):
  card = shipped.read_card(NAME, exported[0])
  script = (
    'import sys, config_flags, train; from absl import flags\n'
    'config_flags.define(sys.argv); flags.FLAGS(sys.argv)\n'
    'F = flags.FLAGS\n'
    'c = config_flags.configured(steps=F.steps, seed=F.seed)\n'
    'print(c.to_json())'
  )
  done = subprocess.run(
    [sys.executable, '-c', script, *card.command.split()[2:]],
    env=ENVIRONMENT
    | {'PYTHONPATH': os.pathsep.join([str(ROOT), str(ROOT / 'experiments')])},
    capture_output=True,
    text=True,
    check=True,
    timeout=200,
  )
  assert json.loads(done.stdout) == json.loads(card.config.to_json())


def test_export_writes_two_files_and_says_where(exported):
  folder, output = exported
  assert {path.name for path in folder.iterdir()} == {
    f'{NAME}.npz',
    f'{NAME}.json',
  }
  assert f'written: {folder / NAME}.npz, .json' in output
  assert shipped.names(folder) == (NAME,)


def test_figures_are_not_lost_by_accident(trained, folder):
  again = (f'--workdir={trained[0]}', f'--name={NAME}', f'--out={folder}')
  card = (folder / f'{NAME}.json').read_text()
  refused('export', *again, expected=f'its figures; got {NAME}')
  assert (folder / f'{NAME}.json').read_text() == card


def test_a_name_that_is_no_name_is_refused(trained, tmp_path):
  refused(
    'export',
    f'--workdir={trained[0]}',
    '--name=../x',
    f'--out={tmp_path}',
    expected="lower-case letters, digits, _ and -; got '../x'",
  )
  assert not list(tmp_path.iterdir())


def spoil_nothing(exported, folder, params, match):
  """Saving them is refused, and the folder stays as it was."""
  card = shipped.read_card(NAME, exported[0])
  before = {path.name: path.read_bytes() for path in folder.iterdir()}
  with pytest.raises(InputError, match=match):
    shipped.save(card, params, folder)
  assert before == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_cannot_be_stored_leaves_nothing(exported, folder, monkeypatch):
  params = shipped.load(NAME, folder).params
  huge = jax.tree.map(lambda x: x + 1e5, params)
  spoil_nothing(exported, folder, huge, 'below 65,504')
  monkeypatch.setattr(shipped, 'MOST_BYTES', 1000)
  spoil_nothing(exported, folder, params, 'at most 1,000 bytes; got')


def test_weights_without_their_card_are_not_there(
  exported, tmp_path, monkeypatch
):
  """And those that replaced others are refused until they have theirs."""
  _, params, card = shipped.load(NAME, exported[0])

  def fail(path, text):
    raise InputError(f'{path}: no space')

  monkeypatch.setattr(files, 'write_text', fail)
  with pytest.raises(InputError, match='no space'):
    shipped.save(card, params, tmp_path)
  assert shipped.names(tmp_path) == ()
  shutil.copytree(exported[0], tmp_path, dirs_exist_ok=True)
  with pytest.raises(InputError, match='no space'):
    shipped.save(card, jax.tree.map(lambda x: 2 * x, params), tmp_path)
  with pytest.raises(InputError, match='must have the SHA-256 of its card'):
    shipped.load(NAME, tmp_path)


def test_other_weights_have_no_figures_yet(exported, folder):
  """Figures are of the weights that were measured."""
  figure = {
    'cell': 'a/b',
    'value': 1.0,
    'stderr': 1.0,
    'protocol': {},
    'seconds': 1.0,
    'device': '',
    'date': '',
  }
  change_card(folder, figures=[figure])
  _, params, card = shipped.load(NAME, folder)
  assert len(card.figures) == 1
  saved = shipped.save(card, jax.tree.map(lambda x: x / 2, params), folder)
  assert saved.figures == ()
  assert shipped.load(NAME, folder).card == saved


def test_binaries_take_models_of_the_package(tmp_path):
  """One that is on disk nowhere else; results have a folder of their own."""
  for name, *flags in (
    ('sample', '--rows=2', '--num_samples=2', '--shots=3'),
    ('evaluate', '--tasks=perplexity', '--num_samples=1'),
    ('topics', '--words=3'),
  ):
    done = subprocess.run(
      [sys.executable, binary(name), '--load=lda-bars', *flags],
      env=ENVIRONMENT,
      cwd=tmp_path,
      capture_output=True,
      text=True,
      check=False,
      timeout=300,
    )
    assert done.returncode == 0, done.stderr
  assert (tmp_path / 'sheet.txt').exists()
  assert (tmp_path / 'topics.png').exists()
  results = tmp_path / 'shipped' / 'lda-bars' / 'results' / 'perplexity.json'
  protocol = json.loads(results.read_text())['protocol']
  card = shipped.read_card('lda-bars')
  assert (protocol['model'], protocol['step']) == ('lda', card.step)


# --- what is not as it was written


def test_a_byte_that_changed_is_noticed(folder):
  path = folder / f'{NAME}.npz'
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 1
  path.write_bytes(content)
  with pytest.raises(InputError, match=r'tiny-folder.npz must have the SHA-2'):
    shipped.load(NAME, folder)


@pytest.mark.parametrize(
  ('change', 'expected'),
  [
    (lambda a: dict(list(a.items())[1:]), 'it lacks .*, 1 in all'),
    (lambda a: a | {'x': next(iter(a.values()))}, 'it adds x, 1 in all'),
    (
      lambda a: {k: v[..., None] for k, v in a.items()},
      r'as in the module; got float16 \[.*, 1\]',
    ),
    (
      lambda a: {k: np.float32(v) for k, v in a.items()},
      'must be float16 .*; got float32',
    ),
    (lambda a: {k: np.array([print]) for k in a}, 'without Python objects'),
  ],
)
def test_other_leaves_than_those_of_the_module_are_refused(
  folder, change, expected
):
  change_weights(folder, change)
  with pytest.raises(InputError, match=expected):
    shipped.load(NAME, folder)


def test_missing_and_oversized_files_are_named(folder):
  path = folder / f'{NAME}.npz'
  with path.open('wb') as file:
    file.truncate(2**33)
  with pytest.raises(InputError, match='at most 8,000,000 bytes'):
    shipped.load(NAME, folder)
  path.unlink()
  with pytest.raises(InputError, match=r'tiny-folder.npz must be a file'):
    shipped.load(NAME, folder)
  change_card(folder, name='other')
  with pytest.raises(InputError, match='the card of tiny-folder; got other'):
    shipped.load(NAME, folder)


def test_a_model_that_the_zoo_does_not_have_is_refused(folder):
  config = json.loads((folder / f'{NAME}.json').read_text())['config']
  change_card(folder, config=config | {'model': 'gnm'})
  with pytest.raises(InputError, match="did you mean 'gmn'"):
    shipped.load(NAME, folder)


def test_an_unknown_name_is_refused_with_the_nearest():
  with pytest.raises(InputError, match=r'one of .*gmn-omniglot.*did you mean'):
    gen1shot.load('gmn-omniglto')
