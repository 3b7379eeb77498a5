"""Training of the sequential generative model."""

from gen1shot.config import Config

_EPISODES = {
  'model': 'sequential',
  'objective': 'elbo',
  'learning_rate': 1e-3,
}

CONFIGS = {
  'small': Config(preset='small', **_EPISODES),
  'paper': Config(preset='paper', steps=250_000, eval_every=5_000, **_EPISODES),
}

VARIANTS = {
  (preset, 'omniglot'): {'dihedral': True, 'shift': True} for preset in CONFIGS
}
