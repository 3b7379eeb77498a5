"""The configuration of a run: one frozen dataclass, every field explained."""

import dataclasses
import json
from typing import Any

from absl import logging

from gen1shot.data.episodes import EpisodeSpec
from gen1shot.errors import InputError, check_choice, check_like

OBJECTIVES = ('elbo', 'iwae')
GRADIENTS = ('dreg', 'plain')
PRECISIONS = ('float32', 'bfloat16')


def _option(default: Any, meaning: str) -> Any:
  return dataclasses.field(default=default, metadata={'help': meaning})


@dataclasses.dataclass(frozen=True)
class Config:
  """What determines a run. All of it is written to the workdir."""

  model: str = _option('statistician', 'a name of the zoo')
  preset: str = _option('small', 'a preset of that model')
  fields: dict[str, Any] = dataclasses.field(default_factory=dict)
  # What is learned from: the data set and the distribution over episodes.
  dataset: str = _option('glyphs', 'a name of the data sources')
  data_dir: str | None = _option(None, 'folder of the files of the data set')
  split: str = _option(
    '30-20', 'omniglot, alphabets: 30-20, 40-10, 45-5 or weak'
  )
  split_seed: int = _option(0, 'draws the parts of the data set')
  batch_size: int = _option(20, 'B, episodes in a batch')
  episode_length: int = _option(5, 'T, objects in an episode')
  max_classes: int = _option(1, 'C, an episode mixes 1..C classes')
  replacement: bool = _option(False, 'exemplars drawn with replacement')
  dihedral: bool = _option(False, 'rotations and reflections are new classes')
  dilation: bool = _option(False, 'half of the images get a wider pen')
  shift: bool = _option(False, 'each image moved by up to 2 pixels')
  affine: bool = _option(False, 'small random affine change of each image')
  # What is maximised.
  objective: str = _option(
    'iwae',
    'iwae: sum over t of K-sample bounds on log p(x_t | x_<t), of documents on '
    'log p(x_1..x_T); elbo: the bound on log p(x_1..x_T)',
  )
  num_samples: int = _option(1, 'K, of objective=iwae')
  gradient: str = _option('dreg', 'of objective=iwae: dreg or plain')
  kl_warmup: int = _option(
    0, 'objective=elbo: steps over which the KL weight rises from 0 to 1'
  )
  free_bits: float = _option(
    0.0, 'objective=elbo: nats that the context of an episode has for free'
  )
  length_warmup: int = _option(
    0,
    'objective=iwae: steps over which sets grow from 1 object to T; until then '
    'an episode is a row of such sets',
  )
  classes_warmup: int = _option(
    0, 'steps over which the classes of an episode grow from 1 to 1..C'
  )
  # How: Adam, linear warm-up, cosine decay to 0 at the last step.
  steps: int = _option(2000, 'optimiser steps of the whole run')
  seed: int = _option(0, 'of initialisation, episodes and noise')
  learning_rate: float = _option(2e-3, 'the highest')
  precision: str = _option(
    'float32', 'of products in training: float32 or bfloat16'
  )
  warmup_steps: int = _option(200, 'steps until the highest learning rate')
  clip_norm: float = _option(10.0, 'global norm to which gradients are clipped')
  ema_decay: float = _option(
    0.998, 'of the averaged parameters, which are used'
  )
  # What is recorded.
  log_every: int = _option(50, 'steps between two rows of metrics.jsonl')
  eval_every: int = _option(500, 'steps between validation with checkpoint')
  eval_episodes: int = _option(100, 'episodes of a validation')
  keep: int = _option(2, 'latest checkpoints kept, beside the best')

  def __post_init__(self) -> None:
    for field in dataclasses.fields(self):
      if field.name == 'data_dir':
        check_like('data_dir', self.data_dir or '', '')
      elif field.name != 'fields':
        check_like(field.name, getattr(self, field.name), field.default)
    if type(self.fields) is not dict:
      raise InputError(f'fields must be name -> value; got {self.fields!r}')
    check_choice('objective', self.objective, OBJECTIVES)
    check_choice('gradient', self.gradient, GRADIENTS)
    check_choice('precision', self.precision, PRECISIONS)
    for name in (
      'batch_size',
      'episode_length',
      'max_classes',
      'num_samples',
      'steps',
      'learning_rate',
      'clip_norm',
      'log_every',
      'eval_every',
      'eval_episodes',
      'keep',
    ):
      if not getattr(self, name) > 0:
        raise InputError(f'{name} must be > 0; got {getattr(self, name)}')
    for name in (
      'kl_warmup',
      'free_bits',
      'length_warmup',
      'classes_warmup',
      'warmup_steps',
      'seed',
      'split_seed',
    ):
      if getattr(self, name) < 0:
        raise InputError(f'{name} must be >= 0; got {getattr(self, name)}')
    if not 0 <= self.ema_decay < 1:
      raise InputError(f'ema_decay must be in [0, 1); got {self.ema_decay}')
    for name, objective in (
      ('kl_warmup', 'elbo'),
      ('free_bits', 'elbo'),
      ('length_warmup', 'iwae'),
    ):
      value = getattr(self, name)
      if value and self.objective != objective:
        raise InputError(
          f'{name} goes with objective={objective} only; got {name}={value}, '
          f'objective={self.objective}'
        )

  @property
  def episodes(self) -> EpisodeSpec:
    """The distribution over training episodes."""
    return EpisodeSpec(
      self.batch_size,
      self.episode_length,
      self.max_classes,
      self.replacement,
      self.dihedral,
      self.dilation,
      self.shift,
      self.affine,
    )

  @property
  def validation_episodes(self) -> EpisodeSpec:
    """The same without augmentation, as many as a validation takes."""
    return EpisodeSpec(
      self.eval_episodes,
      self.episode_length,
      self.max_classes,
      self.replacement,
    )

  def to_json(self) -> str:
    return json.dumps(dataclasses.asdict(self), indent=2) + '\n'

  @classmethod
  def from_json(cls, text: str) -> 'Config':
    """Reads what `to_json` wrote, now or in an older version.

    A field that is missing is newer than the file: its default is what was done
    before there was the field, and a warning says so.

    Raises:
      InputError: it is no configuration, or has a field unknown to this
        version.
    """
    try:
      values = json.loads(text)
    except (ValueError, RecursionError) as e:
      raise InputError(f'config.json must be JSON; got: {e}') from e
    if type(values) is not dict:
      raise InputError(f'config.json must be fields; got {text[:40]!r}')
    config = cls.from_fields(values)
    if missing := sorted(_names() - values.keys()):
      logging.warning(
        'config.json is of an older version: taken as %s',
        ', '.join(f'{name}={getattr(config, name)}' for name in missing),
      )
    return config

  @classmethod
  def from_fields(cls, values: dict[str, Any]) -> 'Config':
    """The configuration of some fields; the others have their defaults.

    Raises:
      InputError: a field is unknown to this version, or has no meaning.
    """
    if unknown := values.keys() - _names():
      raise InputError(
        'a configuration must hold fields of this version of gen1shot; got '
        f'{", ".join(sorted(unknown))}, which it does not have'
      )
    return cls(**values)


def _names() -> set[str]:
  return {field.name for field in dataclasses.fields(Config)}
