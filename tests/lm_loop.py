"""A second computation of the neural language model, and its integrals."""

import jax
import jax.numpy as jnp
import numpy as np
from tiny_words import Tiny

from gen1shot.nn.recurrent import GRU, LSTM

V = 3


def make(cell, **fields):
  """A posterior that is not the prior, but not narrower.

  Otherwise the weights, which are of finite mean, would have no variance.
  """
  lm = Tiny(f'lm-{cell}', vocabulary=V, **fields)
  p, D = lm.params['posterior'], lm.module.z_dim
  p['kernel'] *= jnp.repeat(jnp.array([1.5, 0.3]), D)
  p['bias'] = jnp.repeat(jnp.array([0.8, 0.2]), D)
  lm.params['start']['kernel'] *= 3
  return lm


class Loop:
  """The equations once more, word by word, from the parameters."""

  def __init__(self, lm):
    self.lstm = lm.module.cell == 'lstm'
    self.p = lm.params

  def linear(self, name, v):
    return v @ self.p[name]['kernel'] + self.p[name]['bias']

  def step(self, name, state, v):
    cell = LSTM if self.lstm else GRU
    size = (state[0] if self.lstm else state).shape[-1]
    return cell(size).apply({'params': self.p[name]}, state, v)[0]

  def output(self, state):
    return state[1] if self.lstm else state

  def both(self, h):
    return (h, h) if self.lstm else h

  def posterior(self, x):
    """Mean and standard deviation of q(z | x), [D] each."""
    if not len(x):
      zeros = np.zeros(self.p['posterior']['bias'].size // 2)
      return zeros, zeros + 1
    size = self.p['posterior']['kernel'].shape[0]
    state = self.both(jnp.zeros(size))
    for word in x:
      state = self.step('reader', state, self.p['words']['embedding'][word])
    told = self.linear('posterior', self.output(state))
    mean, logvar = jnp.split(told, 2)
    return mean, jnp.exp(7 * jnp.tanh(logvar / 7) / 2)

  def begin(self, z):
    return self.both(jnp.tanh(self.linear('start', z)))

  def write(self, state, word, z):
    """The state after a word: z [S, D]."""
    v = self.p['words']['embedding'][word]
    v = jnp.broadcast_to(v, (len(z), v.shape[-1]))
    return self.step('writer', state, jnp.concatenate([v, z], -1))

  def log_p(self, state):
    """Of every word, [S, V]."""
    said = self.linear('said', self.output(state))
    logits = said @ self.p['words']['embedding'].T + self.p['frequency']
    return jax.nn.log_softmax(logits)

  def read(self, x, z):
    """log p(x_t | x_<t, z) [S, T], and the state after all words."""
    z = jnp.asarray(z, jnp.float32)
    state, found = self.begin(z), []
    for word in x:
      found.append(self.log_p(state)[:, word])
      state = self.write(state, word, z)
    return np.array(found).T.reshape(len(z), len(x)), state


NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(40)


def grid(mean, std):
  """Points z [S, 1] of a rule for N(mean, std^2), whose weights are WEIGHTS."""
  return (np.asarray(mean) + np.asarray(std) * NODES)[:, None]


def integral(p):
  """Of p [S, ...] at the points of `grid`."""
  return np.tensordot(WEIGHTS / WEIGHTS.sum(), np.exp(p), 1)
