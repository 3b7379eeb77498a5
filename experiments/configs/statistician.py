"""Training of the neural statistician."""

from gen1shot.config import Config

CONFIGS = {
  'small': Config(model='statistician', preset='small'),
  # The published training: sets of 5, batches of 16 sets, the joint bound.
  'paper': Config(
    model='statistician',
    preset='paper',
    batch_size=16,
    objective='elbo',
    learning_rate=1e-3,
    steps=300_000,
    eval_every=5_000,
  ),
}

VARIANTS = {
  ('small', 'omniglot'): {
    'dihedral': True,
    'steps': 10_000,
    'eval_every': 1_000,
  },
  ('paper', 'omniglot'): {'dihedral': True},
}
