"""Configurations: values without meaning, and the file of a run."""

import dataclasses

import pytest
from tiny import CONFIG

from gen1shot.config import Config
from gen1shot.errors import InputError


@pytest.mark.parametrize(
  ('field', 'value'),
  [
    ('batch_size', 0),
    ('episode_length', 0),
    ('max_classes', -1),
    ('num_samples', 0),
    ('steps', 0),
    ('learning_rate', 0.0),
    ('learning_rate', float('nan')),
    ('clip_norm', -1.0),
    ('log_every', 0),
    ('eval_every', 0),
    ('eval_episodes', 0),
    ('keep', 0),
    ('kl_warmup', -1),
    ('warmup_steps', -1),
    ('seed', -1),
    ('split_seed', -1),
    ('ema_decay', 1.0),
    ('ema_decay', -0.1),
    ('objective', 'elbow'),
    ('gradient', 'drag'),
    ('kl_warmup', 100),  # the default objective has no KL terms to weigh
  ],
)
def test_a_value_without_meaning_is_refused(field, value):
  with pytest.raises(InputError) as caught:
    Config(**{field: value})
  assert field in str(caught.value)
  assert str(value) in str(caught.value)


def test_a_configuration_survives_its_file():
  config = dataclasses.replace(CONFIG, data_dir='somewhere', dihedral=True)
  assert Config.from_json(config.to_json()) == config


@pytest.mark.parametrize('text', ['', '{', '[]', '{"widht": 3}'])
def test_a_file_without_a_configuration_is_refused(text):
  with pytest.raises(InputError):
    Config.from_json(text)
