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
  ('small', 'omniglot'): {
    'dihedral': True,
    'steps': 32_000,
    'eval_every': 1_000,
  },
  ('paper', 'omniglot'): {'dihedral': True},
}
