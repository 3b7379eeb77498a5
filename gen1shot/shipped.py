"""The trained models that come with the package: weights and a card of each."""

import dataclasses
import hashlib
import importlib.resources
import pathlib
from importlib.resources.abc import Traversable
from typing import NamedTuple

import jax
from flax import linen as nn

from gen1shot import building, files, storage, training
from gen1shot.bounds import Params
from gen1shot.cards import Card
from gen1shot.errors import InputError, check_choice

FOLDER = importlib.resources.files('gen1shot') / 'weights'
MOST_BYTES = 8_000_000  # of a file of weights
_MOST_CARD_BYTES = 2**20
_WEIGHTS, _CARD = '.npz', '.json'


class Loaded(NamedTuple):
  """A trained model: `module.apply({'params': params}, ...)`."""

  module: nn.Module
  params: Params  # float32
  card: Card


def names(folder: Traversable = FOLDER) -> tuple[str, ...]:
  """The trained models that there are, in alphabetical order."""
  if not folder.is_dir():
    return ()
  found = [path.name for path in folder.iterdir()]
  return tuple(
    sorted(name.removesuffix(_CARD) for name in found if name.endswith(_CARD))
  )


def load(name: str, folder: Traversable = FOLDER) -> Loaded:
  """A trained model by its name.

  Args:
    name: one of `names(folder)`.
    folder: of weights and cards; those that come with the package.

  Raises:
    InputError: no such model, or files that are not as they were written.
  """
  card = read_card(name, folder)
  path = folder / (name + _WEIGHTS)
  content = files.read_bytes(path, MOST_BYTES)
  found = _sha256(content)
  if found != card.sha256:
    raise InputError(
      f'{path} must have the SHA-256 of its card, {card.sha256[:12]}; got '
      f'{found[:12]}'
    )
  module, example = building.build(card.config, card.data)
  like = jax.eval_shape(
    lambda key: training.init_state(module, card.config, example, key),
    jax.random.key(0),
  ).averaged
  return Loaded(module, storage.decode(content, path, card.dtype, like), card)


def read_card(name: str, folder: Traversable = FOLDER) -> Card:
  """The card of a trained model.

  Raises:
    InputError: no such model, or no card in its file.
  """
  check_choice('a trained model', name, names(folder))
  path = folder / (name + _CARD)
  card = Card.from_json(files.read_text(path, _MOST_CARD_BYTES), path)
  if card.name != name:
    raise InputError(f'{path} must be the card of {name}; got {card.name}')
  return card


def write_card(card: Card, folder: pathlib.Path) -> None:
  """Writes a card, or replaces it at once.

  Raises:
    InputError: the file cannot be written.
  """
  files.write_text(folder / (card.name + _CARD), card.to_json())


def save(card: Card, params: Params, folder: pathlib.Path) -> Card:
  """Writes the weights and the card that `load` reads.

  Nothing is written of parameters that cannot be stored. The card comes last:
  what has one is complete, and weights that replaced others without theirs are
  refused.

  Args:
    card: whose `parameters` and `sha256` become those of `params`; it has no
      figures then, which were of other weights.
    params: of the module, float32.
    folder: of weights and cards.

  Returns:
    The card that was written.

  Raises:
    InputError: parameters that cannot be stored, or a file that cannot be
      written.
  """
  content = storage.encode(params, card.dtype)
  if len(content) > MOST_BYTES:
    raise InputError(
      f'a file of weights must have at most {MOST_BYTES:,} bytes; got '
      f'{len(content):,} of {card.name} as {card.dtype}'
    )
  count = sum(leaf.size for leaf in jax.tree.leaves(params))
  card = dataclasses.replace(
    card, parameters=count, sha256=_sha256(content), figures=()
  )
  files.write(
    folder / (card.name + _WEIGHTS), lambda path: path.write_bytes(content)
  )
  write_card(card, folder)
  return card


def _sha256(content: bytes) -> str:
  return hashlib.sha256(content).hexdigest()
