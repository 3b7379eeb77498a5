"""The card of a trained model: what it is, how it was made, how good it is."""

import contextlib
import dataclasses
import json
import types
import typing
from importlib.resources.abc import Traversable
from typing import Any

from gen1shot import storage
from gen1shot.config import Config
from gen1shot.data.vocabulary import Vocabulary
from gen1shot.errors import InputError, check_choice
from gen1shot.workdir import Data


@dataclasses.dataclass(frozen=True)
class Measured:
  """A figure of the weights as they are stored, and how it was measured."""

  cell: str  # which one of the tables
  value: float
  stderr: float
  protocol: dict[str, Any]  # all that it depends on, the seed included
  seconds: float  # that its table took
  device: str
  date: str


@dataclasses.dataclass(frozen=True)
class Card:
  """All that is known of a trained model."""

  name: str
  title: str
  config: Config  # of the training: model, preset, fields, data set, split
  step: int  # that the weights are of, the best on validation
  data: Data  # fingerprint, kind and shape of what it was trained on
  vocabulary: Vocabulary | None  # of the words, where the kind is words
  command: str  # of the training
  commit: str | None  # of the code that trained it
  hardware: str | None  # that it was trained on
  training_seconds: float | None
  date: str  # of the export
  parameters: int  # how many
  dtype: str  # of their storage
  sha256: str  # of the file of weights
  figures: tuple[Measured, ...] = ()

  def to_json(self) -> str:
    return (
      json.dumps(dataclasses.asdict(self), indent=2, allow_nan=False) + '\n'
    )

  @classmethod
  def from_json(cls, text: str, path: Traversable) -> 'Card':
    """Reads what `to_json` wrote; `path` is where, for messages.

    Raises:
      InputError: it is no card.
    """
    wrong = 'it is no JSON'
    with contextlib.suppress(ValueError, RecursionError):
      values = json.loads(text)
      try:
        return _card(values)
      except KeyError as e:
        wrong = f'it lacks {e}'
      except (TypeError, ValueError) as e:
        wrong = ' '.join(str(e).split())[:200]
    raise InputError(f'{path} must be the card of a trained model; {wrong}')


def _card(values: Any) -> Card:
  """Raises KeyError, TypeError or ValueError unless there is a card in it."""
  _check(Card, values)
  check_choice('dtype', values['dtype'], storage.DTYPES)
  vocabulary = values['vocabulary']
  if vocabulary is not None:
    vocabulary = Vocabulary.from_json(json.dumps(vocabulary))
  for figure in values['figures']:
    _check(Measured, figure)
  return Card(
    **values
    | {
      'config': Config.from_fields(values['config']),
      'data': Data.from_fields(values['data']),
      'vocabulary': vocabulary,
      'figures': tuple(Measured(**figure) for figure in values['figures']),
    }
  )


def _check(kind: type, values: Any) -> None:
  """Raises TypeError unless values are the fields of a kind, each of its type.

  What has fields itself is an object in JSON, what is a tuple a list.
  """
  if type(values) is not dict:
    raise TypeError(f'it must be fields; got {str(values)[:40]}')
  hints = typing.get_type_hints(kind)
  for what, names in (
    ('lacks', hints.keys() - values.keys()),
    ('adds', values.keys() - hints.keys()),
  ):
    if names:
      raise TypeError(f'it {what} {", ".join(sorted(names))}')
  for name, hint in hints.items():
    union = typing.get_args(hint) if _is_union(hint) else (hint,)
    if not any(_is_like(values[name], member) for member in union):
      raise TypeError(f'{name} is of another type: {str(values[name])[:40]}')


def _is_union(hint: Any) -> bool:
  return typing.get_origin(hint) is types.UnionType


def _is_like(value: Any, kind: Any) -> bool:
  if kind is float:
    return type(value) in (int, float)
  if typing.get_origin(kind) is tuple:
    return type(value) is list
  if typing.get_origin(kind) is dict or dataclasses.is_dataclass(kind):
    return type(value) is dict
  return type(value) is kind
