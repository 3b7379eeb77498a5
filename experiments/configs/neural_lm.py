"""Training of the neural language model."""

from gen1shot.config import Config

CONFIGS = {
  'small': Config(
    model='neural_lm',
    preset='small',
    dataset='bars',
    objective='elbo',
    batch_size=32,
    episode_length=40,
    kl_warmup=1000,
    free_bits=1.0,
    learning_rate=2e-3,
    steps=6000,
    log_every=100,
  )
}

VARIANTS = {}
