"""LDA with parameters, and its probabilities by sums over topics."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
from tiny_words import Tiny

PROFILES = ['logistic-normal', 'dirichlet']
ALPHA = 2.0


def make(profile, **fields):
  """Topics that differ, and a posterior not much narrower than the prior.

  Otherwise the weights, which are of finite mean, would have no variance.
  """
  name = 'lda-dirichlet' if profile == 'dirichlet' else 'lda-gaussian'
  lda = Tiny(name, **fields)
  p, D = lda.params, lda.module.topics
  p['topic_logits'] *= 2
  p['encoder'] = jax.tree.map(lambda leaf: 0.3 * leaf, p['encoder'])
  last = p['encoder']['Dense_1']
  if profile == 'dirichlet':
    last['bias'] = jnp.linspace(0.0, -3.0, D)
  else:
    last['kernel'] *= jnp.repeat(jnp.array([3.0, 1.0]), D)
  return lda


def phi(lda):
  logits = np.asarray(lda.params['topic_logits'], float)
  return scipy.special.softmax(logits, -1)


def by_enumeration(lda, x, alpha):
  """A sum over the topics of all words, whose profile is integrated out."""
  words = phi(lda)
  D, T = len(words), len(x)
  total = 0.0
  for topics in itertools.product(range(D), repeat=T):
    sizes = np.bincount(topics, minlength=D)
    log_p = (
      scipy.special.gammaln(D * alpha)
      - scipy.special.gammaln(D * alpha + T)
      + (
        scipy.special.gammaln(alpha + sizes) - scipy.special.gammaln(alpha)
      ).sum()
    )
    total += np.exp(log_p) * words[list(topics), x].prod()
  return np.log(total)


def by_quadrature(words, mean, std):
  """For 2 topics and a difference of logits N(mean, std^2): words [2, T]."""
  nodes, weights = np.polynomial.hermite_e.hermegauss(60)
  gamma = scipy.special.expit(mean + std * nodes)[:, None]
  p = (gamma * words[0] + (1 - gamma) * words[1]).prod(-1)
  return np.log(weights @ p / weights.sum())


def exact(lda, x, alpha=ALPHA):
  if lda.module.profile == 'dirichlet':
    return by_enumeration(lda, x, alpha)
  # Either logit has a variance of (1 / alpha) (1 - 1 / 2).
  return by_quadrature(phi(lda)[:, x], 0.0, alpha**-0.5)
