"""The smallest statisticians that the tests build, and a training."""

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

# What they ask without having trained it.
TINY = {
  'nets': 'dense',
  'width': 8,
  'features': 8,
  'hidden': 8,
  'c_dim': 4,
  'z_dim': 3,
}
