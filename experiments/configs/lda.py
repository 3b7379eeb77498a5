"""Training of LDA."""

from gen1shot.config import Config

CONFIGS = {
  'small': Config(
    model='lda',
    preset='small',
    dataset='bars',
    objective='iwae',
    gradient='plain',
    num_samples=10,
    batch_size=50,
    episode_length=100,
    learning_rate=3e-2,
    steps=10_000,
    log_every=500,
    eval_every=2000,
  )
}

VARIANTS = {}
