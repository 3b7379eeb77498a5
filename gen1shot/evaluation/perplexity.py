"""Perplexity of held-out documents.

Shapes: N passages of T words each, the last of a document cut short.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import struct

from gen1shot.bounds import Params
from gen1shot.data.documents import Documents
from gen1shot.data.episodes import passage
from gen1shot.errors import InputError
from gen1shot.evaluation.likelihood import Figure, each, weigh


@struct.dataclass
class Scores:
  """Figures of each passage, [N], in nats."""

  words: np.ndarray  # how many count
  log_p: np.ndarray  # K-sample bound of log p(x_1..x_T)
  bound: np.ndarray  # its one-sample bound, mean of K
  kl: np.ndarray  # KL(q(latent | x_1..x_T) || p(latent))

  def perplexity(self) -> Figure:
    """exp of the nats a word, by the K-sample bound: from above."""
    return self._pooled(self.log_p)

  def perplexity_bound(self) -> Figure:
    """The same by the one-sample bound."""
    return self._pooled(self.bound)

  def _pooled(self, log_p: np.ndarray) -> Figure:
    """Over words, with an error over passages (the delta method)."""
    log_p, words = log_p.astype(float), self.words.astype(float)
    nats = -log_p.sum() / words.sum()
    moved = (-log_p - nats * words) / words.mean()  # of nats, by each passage
    return Figure.of(math.exp(nats) * (1 + moved))


def score(
  module: nn.Module,
  params: Params,
  documents: Documents,
  length: int,
  num_samples: int,
  key: jax.Array,
) -> Scores:
  """Scores every word once: documents as passages of up to `length` words.

  Empty documents have no passage. The key is consumed.

  Raises:
    InputError: all documents are empty.
  """
  places = [
    (document, first)
    for document, size in enumerate(np.asarray(documents.sizes))
    for first in range(0, size, length)
  ]
  if not places:
    raise InputError('documents must hold words; got only empty ones')

  def one(
    given: tuple[Params, Documents],
    place: jax.Array,
    key: jax.Array,
    at_once: int,
  ):
    params, documents = given
    x, mask = passage(documents, place[0], place[1], length)
    weigh_key, bound_key = jax.random.split(key)
    weights = weigh(
      module,
      params,
      x,
      'joint_log_weights',
      num_samples,
      weigh_key,
      at_once,
      mask,
    )
    kl = module.apply(
      {'params': params},
      method=lambda module: module.bound(x, mask).kl_context,
      rngs={'sample': bound_key},
    )
    # [factors], which are independent where the joint is a product
    log_p, elbo = (figure.sum() for figure in weights)
    return mask.sum(), log_p, elbo, kl

  given = (params, documents)
  return Scores(*each(one, given, jnp.array(places), num_samples, key))
