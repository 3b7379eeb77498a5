"""The package as it ships: its trained models, and what it costs to import."""

import ast
import configparser
import fnmatch
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from binaries import ENVIRONMENT, ROOT

import gen1shot
from gen1shot import runs, shipped, storage, workdir
from gen1shot.data import sources

WEIGHTS = ROOT / 'gen1shot' / 'weights'


def test_names_are_those_of_the_files():
  assert gen1shot.names() == tuple(
    sorted(path.stem for path in WEIGHTS.glob('*.npz'))
  )
  assert len(gen1shot.names()) >= 6
  suffixes = {path.suffix for path in WEIGHTS.iterdir()}
  assert suffixes == {'.npz', '.json'}


def test_every_file_is_package_data():
  setup = configparser.ConfigParser()
  setup.read(ROOT / 'setup.cfg')
  patterns = setup['options.package_data']['gen1shot'].split()
  for path in WEIGHTS.iterdir():
    name = path.relative_to(ROOT / 'gen1shot').as_posix()
    assert any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


@pytest.mark.parametrize('name', gen1shot.names())
def test_every_model_is_what_its_card_says(name):
  path = WEIGHTS / f'{name}.npz'
  assert path.stat().st_size < 8_000_000
  _, params, card = gen1shot.load(name)
  leaves = jax.tree.leaves(params)
  assert sum(leaf.size for leaf in leaves) == card.parameters
  assert all(leaf.dtype == jnp.float32 for leaf in leaves)
  assert all(np.isfinite(leaf).all() for leaf in leaves)
  assert any((leaf != 0).any() for leaf in leaves)
  assert storage.encode(params, card.dtype) == path.read_bytes()
  assert card.config.dataset in sources.SOURCES
  assert card.config.data_dir is None
  assert card.hardware
  assert card.command.startswith('python experiments/train.py --model=')
  assert (card.vocabulary is None) == (card.data.kind != 'words')
  if card.vocabulary is not None:
    assert card.data.object_shape == (len(card.vocabulary),)
  assert not re.search(r'"/|=/', card.to_json())  # no path of a machine


@pytest.mark.parametrize(
  'card',
  [
    card
    for card in map(shipped.read_card, gen1shot.names())
    if card.config.dataset in ('glyphs', 'distributions', 'bars')
  ],
  ids=lambda card: card.name,
)
def test_data_that_need_no_files_are_those_of_the_card(card):
  source = runs.load_source(card.config)
  assert (
    workdir.Data(
      source.fingerprint, source.train.kind, source.train.object_shape
    )
    == card.data
  )


def test_the_package_alone_imports_nothing_heavy():
  code = (
    'import sys, gen1shot\n'
    "heavy = {'jax', 'numpy', 'flax', 'orbax'} & sys.modules.keys()\n"
    'assert not heavy, heavy'
  )
  subprocess.run(
    [sys.executable, '-c', code], env=ENVIRONMENT, check=True, timeout=100
  )


def test_the_version_is_read_without_an_import():
  """As setuptools reads it, which builds the package where JAX is not."""
  tree = ast.parse((ROOT / 'gen1shot' / '__init__.py').read_text())
  (value,) = [
    ast.literal_eval(node.value)
    for node in tree.body
    if isinstance(node, ast.Assign)
    and [ast.unparse(target) for target in node.targets] == ['__version__']
  ]
  assert value == gen1shot.__version__
