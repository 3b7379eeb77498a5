"""Training of DRAW."""

from gen1shot.config import Config

# Batches of 100 objects, each an episode of its own.
_TRAINING = {
  'model': 'draw',
  'objective': 'elbo',
  'episode_length': 1,
  'batch_size': 100,
  'eval_episodes': 500,
  'learning_rate': 1e-3,
}

CONFIGS = {
  'small': Config(preset='small', **_TRAINING),
  'paper': Config(preset='paper', steps=250_000, eval_every=5_000, **_TRAINING),
}

VARIANTS = {('small', 'mnist'): {'steps': 3_500}}
