"""Training of the variational autoencoder."""

from gen1shot.config import Config

# An episode of one object, as many as the other models see in a step.
_BATCH = {'episode_length': 1, 'batch_size': 100, 'eval_episodes': 500}

CONFIGS = {
  'small': Config(model='vae', preset='small', **_BATCH),
  'conv': Config(
    model='vae', preset='conv', learning_rate=1e-3, steps=90_750, **_BATCH
  ),
}

VARIANTS = {
  ('small', 'omniglot'): {
    'dihedral': True,
    'steps': 10_000,
    'eval_every': 1_000,
  },
}
