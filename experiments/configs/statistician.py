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
  # Sets of 200 reals, and clouds of 50 points. Open code of the paper has
  # batches of 16 sets; more of 4 learn sooner for the same computing.
  'reals': Config(
    model='statistician',
    preset='reals',
    dataset='distributions',
    batch_size=4,
    episode_length=200,
    objective='elbo',
    kl_warmup=3_000,
    learning_rate=1e-3,
    steps=20_000,
    log_every=200,
    eval_every=1_000,
  ),
  'points': Config(
    model='statistician',
    preset='points',
    dataset='points',
    batch_size=4,
    episode_length=50,
    objective='elbo',
    kl_warmup=2_000,
    free_bits=20.0,
    learning_rate=1e-3,
    steps=24_000,
    log_every=200,
    eval_every=1_000,
  ),
}

VARIANTS = {
  # 68 minutes of one core that shared its machine: 92.6 % of 5-way 1-shot tasks
  # on the test alphabets, by the KL of contexts.
  ('small', 'omniglot'): {
    'fields': {'proposal': 'before'},
    'dihedral': True,
    'shift': True,
    'batch_size': 10,
    'episode_length': 10,
    'steps': 18_000,
    'eval_every': 1_000,
  },
  ('paper', 'omniglot'): {'dihedral': True},
}
