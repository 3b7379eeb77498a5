"""Tiny models of words with parameters of some size, and how to ask them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from questions import streams

from gen1shot.models.lda import LDA
from gen1shot.models.neural_lm import NeuralLM
from gen1shot.models.unigram import Unigram

V = 4  # words of the vocabulary

TINY_LM = {
  'hidden': 5,
  'encoder_hidden': 4,
  'embedding': 3,
  'z_dim': 2,
  'dropout': 0.5,
}
TINY_LDA = {'topics': 3, 'hidden': 6, 'mlp_depth': 1}

MODELS = {
  'unigram': (Unigram, {}),
  'lda-gaussian': (LDA, {**TINY_LDA, 'profile': 'logistic-normal'}),
  'lda-dirichlet': (LDA, {**TINY_LDA, 'profile': 'dirichlet'}),
  'lm-gru': (NeuralLM, {**TINY_LM, 'cell': 'gru'}),
  'lm-lstm': (NeuralLM, {**TINY_LM, 'cell': 'lstm'}),
}


class Tiny:
  """A model of words with parameters; every question is compiled."""

  def __init__(self, name, scale=0.7, vocabulary=V, **fields):
    kind, own = MODELS[name]
    self.module = kind((vocabulary,), **(own | fields))
    shapes = jax.eval_shape(self._init)
    rng = np.random.default_rng(1)
    self.params = jax.tree.map(
      lambda leaf: jnp.asarray(scale * rng.normal(size=leaf.shape), 'f4'),
      shapes['params'],
    )
    if kind is Unigram:
      self.params = jax.tree.map(jax.nn.log_softmax, self.params)

  def _init(self):
    x = jnp.zeros(2, int)
    return self.module.init(streams(jax.random.key(0)), x, method='bound')

  def __call__(self, method, x, *args, key=0):
    """The answer to a question about words x; args: a number, a mask."""
    number = args[:1] if args and isinstance(args[0], int) else ()
    answer = self._compiled(method, *number)
    words = jnp.asarray(x, int)
    return answer(
      self.params, words, *args[len(number) :], key=jax.random.key(key)
    )

  @functools.cache  # noqa: B019
  def _compiled(self, method, *number):
    def answer(params, x, *mask, key):
      return self.ask(method, params, x, *number, *mask, key=key)

    return jax.jit(answer)

  def ask(self, method, params, x, *args, key):
    return self.module.apply(
      {'params': params}, x, *args, method=method, rngs={'sample': key}
    )

  def elbos(self, x, mask=None, draws=4000):
    """The one-sample bound for as many keys, [draws]."""

    def elbo(key):
      return self.ask('bound', self.params, x, mask, key=key).elbo()

    x = jnp.asarray(x, int)
    return jax.jit(jax.vmap(elbo))(jax.random.split(jax.random.key(7), draws))


def assert_same_mean(a, b, sigmas):
  """The means of two samples differ by chance only."""
  error = np.hypot(a.std() / len(a) ** 0.5, b.std() / len(b) ** 0.5)
  assert 0 < error < 0.05
  assert abs(a.mean() - b.mean()) < sigmas * error
