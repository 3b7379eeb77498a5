"""Training of the sequential generative model."""

from gen1shot.config import Config

_TRAINING = {'model': 'sequential', 'objective': 'elbo'}

CONFIGS = {
  'small': Config(preset='small', learning_rate=1.5e-3, **_TRAINING),
  'paper': Config(
    preset='paper',
    learning_rate=1e-3,
    steps=250_000,
    eval_every=5_000,
    **_TRAINING,
  ),
}

VARIANTS = {
  # Pairs of a character, the second drawn given the first.
  ('small', 'omniglot'): {
    'dihedral': True,
    'episode_length': 2,
    'batch_size': 50,
    'steps': 12_000,
    'eval_every': 1_000,
  },
  ('paper', 'omniglot'): {'dihedral': True},
}
