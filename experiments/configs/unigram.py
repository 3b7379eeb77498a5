"""Fitting of the unigram model: one step, in closed form."""

from gen1shot.config import Config

CONFIGS = {
  'small': Config(
    model='unigram',
    preset='small',
    dataset='bars',
    objective='elbo',
    episode_length=100,
    steps=1,
  )
}

VARIANTS = {}
