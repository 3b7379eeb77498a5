"""The zoo: name -> module and presets. The only registry of models."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from flax import linen as nn

from gen1shot.errors import InputError, check_choice, check_like
from gen1shot.models.draw import DRAW
from gen1shot.models.gmn import GenerativeMatchingNetwork
from gen1shot.models.lda import LDA
from gen1shot.models.neural_lm import NeuralLM
from gen1shot.models.sequential import SequentialGenerativeModel
from gen1shot.models.statistician import Statistician
from gen1shot.models.unigram import Unigram
from gen1shot.models.vae import VAE


@dataclasses.dataclass(frozen=True)
class Entry:
  """A module class and its presets: preset name -> field values."""

  module: type[nn.Module]
  presets: Mapping[str, Mapping[str, Any]]
  kinds: tuple[str, ...] = ('images', 'vectors')  # of objects that it models


# Bartunov & Vetrov 2016: z 50, psi 288, controllers and match space 200.
_PUBLISHED_GMN = {
  'features': 288,
  'hidden': 200,
  'mlp_depth': 1,
  'z_dim': 50,
  'layers': 1,
}

# Nets of vectors: three layers each, the last two are a residual block.
_ON_VECTORS = {
  'observation': 'gaussian',
  'nets': 'dense',
  'encoder_depth': 2,
  'decoder_depth': 2,
  'mlp_depth': 2,
  'sample_dropout': False,
}

_IMAGES, _WORDS = ('images',), ('words',)

ZOO = {
  'statistician': Entry(
    Statistician,
    {
      'small': {},
      # Edwards & Storkey 2016, Omniglot: 64/128/256 channels, z 16, c 512.
      'paper': {
        'nets': 'conv',
        'width': 64,
        'features': 256,
        'hidden': 256,
        'c_dim': 512,
        'z_dim': 16,
        'layers': 1,
      },
      # The same, section 5.1: three layers of 128 units, z 32, c 3.
      'reals': {
        **_ON_VECTORS,
        'width': 128,
        'features': 128,
        'hidden': 128,
        'c_dim': 3,
        'z_dim': 32,
        'layers': 1,
      },
      # The same, section 5.2: three layers of 256 units, three z of 2, c 64.
      'points': {
        **_ON_VECTORS,
        'width': 256,
        'features': 256,
        'hidden': 256,
        'c_dim': 64,
        'z_dim': 2,
        'layers': 3,
      },
    },
  ),
  'gmn': Entry(
    GenerativeMatchingNetwork,
    {
      'small': {},
      'conv': {'nets': 'residual', 'match_size': 200, **_PUBLISHED_GMN},
      'fc': {
        'nets': 'dense',
        'width': 200,
        'match_size': 200,
        **_PUBLISHED_GMN,
      },
    },
  ),
  'vae': Entry(
    VAE,
    {
      'small': {},
      # The nets of the published GMN without its memory: its baseline.
      'conv': {'nets': 'residual', **_PUBLISHED_GMN},
    },
  ),
  'draw': Entry(
    DRAW,
    {
      'small': {},
      # Gregor et al. 2015, MNIST.
      'paper': {
        'recurrent_steps': 64,
        'z_dim': 100,
        'read_size': 2,
        'write_size': 5,
      },
    },
    _IMAGES,
  ),
  'sequential': Entry(
    SequentialGenerativeModel,
    {
      'small': {},
      # Rezende et al. 2016, 28x28 Omniglot: 80 steps, an LSTM of 400.
      'paper': {'recurrent_steps': 80, 'hidden': 400, 'remat': True},
    },
    _IMAGES,
  ),
  'unigram': Entry(Unigram, {'small': {}}, _WORDS),
  'lda': Entry(LDA, {'small': {}}, _WORDS),
  'neural_lm': Entry(NeuralLM, {'small': {}}, _WORDS),
}


def of_kind(kind: str) -> list[str]:
  """The models of objects of a kind."""
  return [name for name, entry in ZOO.items() if kind in entry.kinds]


def is_of_words(module: nn.Module) -> bool:
  """Whether the objects of a module are words, in an order and masked."""
  return type(module) in (ZOO[name].module for name in of_kind('words'))


def check_kind(
  name: str, fields: Mapping[str, Any], kind: str, dataset: str
) -> None:
  """Raises InputError unless a model is of the objects of a data set."""
  if kind not in ZOO[name].kinds:
    raise InputError(
      f'{name} models {" and ".join(ZOO[name].kinds)}; got dataset {dataset}, '
      f'of {kind}, for {", ".join(of_kind(kind))}'
    )
  if kind == 'vectors' and fields['observation'] != 'gaussian':
    raise InputError(
      f'vectors need observation=gaussian; got {fields["observation"]} with '
      f'dataset {dataset}'
    )


def module_fields(
  name: str, preset: str, changed: Mapping[str, Any] | None = None
) -> dict[str, Any]:
  """Every field of the preset that a user may set, with its value.

  That of the preset, unless it is among those that are changed.

  Raises:
    InputError: no such model or preset.
  """
  check_choice('model', name, ZOO)
  check_choice(f'preset of {name}', preset, ZOO[name].presets)
  own = {
    field.name: field.default
    for field in dataclasses.fields(ZOO[name].module)
    if field.default is not dataclasses.MISSING
    and field.name not in ('parent', 'name')
  }
  return own | dict(ZOO[name].presets[preset]) | dict(changed or {})


def build(
  name: str, preset: str, observation_shape: tuple[int, ...], **fields: Any
) -> nn.Module:
  """The module of a preset, for objects of a shape, with fields replaced.

  Raises:
    InputError: no such model, preset or field.
  """
  known = module_fields(name, preset)
  if not observation_shape or min(observation_shape) < 1:
    raise InputError(
      f'observation_shape must be sizes >= 1; got {observation_shape}'
    )
  for field, value in fields.items():
    check_choice(f'field of {name}', field, known)
    check_like(field, value, known[field])
  return ZOO[name].module(observation_shape, **(known | fields))
