"""The smallest statisticians that the tests build, and a training."""

import dataclasses
import json

from gen1shot.config import Config

# What the tests train.
FIELDS = {
  'nets': 'dense',
  'width': 8,
  'encoder_depth': 1,
  'decoder_depth': 1,
  'features': 8,
  'hidden': 8,
  'mlp_depth': 1,
  'c_dim': 4,
  'z_dim': 2,
  'layers': 1,
}
CONFIG = Config(
  fields=FIELDS,
  batch_size=8,
  episode_length=3,
  steps=40,
  warmup_steps=5,
  learning_rate=1e-2,
  eval_episodes=50,
)

# A run of a few steps.
RUN = dataclasses.replace(
  CONFIG,
  batch_size=2,
  episode_length=2,
  steps=6,
  eval_every=2,
  log_every=1,
  eval_episodes=2,
)

# What they ask without having trained it.
TINY = {
  'nets': 'dense',
  'width': 8,
  'features': 8,
  'hidden': 8,
  'c_dim': 4,
  'z_dim': 3,
}


def rows_of(folder):
  """What the run in a workdir has logged."""
  lines = (folder / 'metrics.jsonl').read_text().splitlines()
  return [json.loads(line) for line in lines]
