"""Latent Dirichlet allocation (Blei et al. 2003), with an amortised posterior.

    p(x_1..x_T) = ∫ p(gamma) prod_t sum_k gamma_k phi_k,x_t dgamma

gamma, the profile of a document, says how much of it each topic makes up; the
topic of each word is summed out. Shapes: T words, V of the vocabulary, K
importance samples, D topics. One document a call; `jax.vmap` adds the batch.
"""

from typing import Any, Protocol

import jax
import jax.numpy as jnp
from flax import linen as nn

from gen1shot.bounds import Bound
from gen1shot.distributions import DiagGaussian, Dirichlet, LogisticNormal
from gen1shot.errors import InputError, check_choice, check_positive
from gen1shot.nn.dense import MLP
from gen1shot.nn.sequences import counted, prefix_counts

PROFILES = ('logistic-normal', 'dirichlet')


class Profile(Protocol):
  """A distribution of gamma; what is drawn are logits [..., D] of it."""

  def sample(
    self, key: jax.Array, shape: tuple[int, ...] = ()
  ) -> jax.Array: ...

  def log_prob(self, latent: jax.Array, /) -> jax.Array: ...

  def kl(self, p: Any) -> jax.Array: ...

  def laplace(self) -> DiagGaussian: ...


class LDA(nn.Module):
  """LDA for words of a vocabulary.

  The prior of the profile is Dirichlet(alpha); with `profile` logistic-normal
  it is the Gaussian nearest to it, before a softmax (Srivastava & Sutton 2017).

  Raises (when it is first used):
    InputError: a field has no meaning.
  """

  observation_shape: tuple[int, ...]  # (V,)
  topics: int = 10  # D
  profile: str = 'logistic-normal'  # logistic-normal or dirichlet
  alpha: float = 1.0  # concentration of p(gamma), of each topic
  hidden: int = 128  # width of the network of q(gamma | x)
  mlp_depth: int = 2  # and its depth; 0 is linear

  def setup(self) -> None:
    check_choice('profile', self.profile, PROFILES)
    check_positive(self, 'topics', 'hidden')
    check_positive(self, 'mlp_depth', least=0)
    if self.topics < 2 or not self.alpha > 0:
      raise InputError(
        'LDA needs at least 2 topics and alpha > 0; got '
        f'topics {self.topics}, alpha {self.alpha}'
      )
    gaussian = self.profile == 'logistic-normal'
    self.encoder = MLP(
      (2 if gaussian else 1) * self.topics, self.hidden, self.mlp_depth
    )
    self.topic_logits = self.param(
      'topic_logits',
      nn.initializers.normal(1.0),
      (self.topics, *self.observation_shape),
    )

  # The four questions.

  def bound(self, x: jax.Array, mask: jax.Array | None = None) -> Bound:
    """The terms of the ELBO on log p(x_1..x_T).

    Args:
      x: words [T].
      mask: boolean [T], words that count; None for all.

    Uses the random stream `sample`.
    """
    q = self._posterior(self._counts(x, mask))
    # KL(q(gamma | x) || p(gamma))
    kl_context = q.kl(self._prior())
    # E log sum_k gamma_k phi_k,x_t
    log_likelihood = self._log_likelihood(q.sample(self._key()), x)
    return Bound(log_likelihood, jnp.zeros(len(x)), kl_context).where(mask)

  def log_weights(
    self, x: jax.Array, num_samples: int, mask: jax.Array | None = None
  ) -> jax.Array:
    """log importance weights of log p(x_t | x_<t), every prefix in one pass.

    p(x_t | x_<t) is defined as ∫ q(gamma | x_<t) p(x_t | gamma) dgamma, with
    p(gamma) for the empty prefix.

    Args:
      x: words [T].
      num_samples: K.
      mask: boolean [T], words that count; None for all.

    Returns:
      [K, T]; 0 for words that do not count.
    """
    counts = prefix_counts(x, self.observation_shape[0], mask)
    upto = self._posterior(counts)
    before = self._posterior(jnp.pad(counts, ((1, 0), (0, 0)))[:-1])
    latent = upto.sample(self._key(), (num_samples,))  # [K, T, D]
    ratio = before.log_prob(latent) - upto.log_prob(latent)
    mixture = jax.nn.log_softmax(latent) + self._log_topics()[:, x].T
    return counted(jax.nn.logsumexp(mixture, axis=-1) + ratio, mask)

  def joint_log_weights(
    self, x: jax.Array, num_samples: int, mask: jax.Array | None = None
  ) -> jax.Array:
    """log importance weights of log p(x_1..x_T): words [T] -> [K, 1]."""
    q = self._posterior(self._counts(x, mask))
    latent = q.sample(self._key(), (num_samples,))
    local = counted(self._log_likelihood(latent, x), mask).sum(-1)
    ratio = self._prior().log_prob(latent) - q.log_prob(latent)
    return (local + ratio)[:, None]

  def predict(
    self,
    support: jax.Array,
    num_samples: int,
    mask: jax.Array | None = None,
  ) -> jax.Array:
    """Probabilities [S, V] of a next word, for S draws of the profile.

    Args:
      support: words [N]; N = 0, or a mask of False, means unconditional.
      num_samples: S.
      mask: boolean [N] or None.
    """
    q = self._posterior(self._counts(support, mask))
    profile = jax.nn.softmax(q.sample(self._key(), (num_samples,)))
    return profile @ jnp.exp(self._log_topics())

  def embed(
    self, support: jax.Array, mask: jax.Array | None = None
  ) -> DiagGaussian:
    """q(gamma | x_1..x_N) before its softmax, the prior for N = 0: [D]."""
    return self._posterior(self._counts(support, mask)).laplace()

  def compose(
    self,
    support: jax.Array,
    num_samples: int,
    mask: jax.Array | None = None,
  ) -> jax.Array:
    """Texts of as many words as the support, of its topics: int32 [S, T]."""
    p = self.predict(support, num_samples, mask)
    key = self._key()
    shape = (len(support), num_samples)
    return jax.random.categorical(key, jnp.log(p), shape=shape).T

  def topic_words(self) -> jax.Array:
    """phi, the probabilities of the words of each topic: [D, V]."""
    return jnp.exp(self._log_topics())

  # Pieces.

  def _key(self) -> jax.Array:
    return self.make_rng('sample')

  def _counts(self, x: jax.Array, mask: jax.Array | None) -> jax.Array:
    ones = counted(jnp.ones(len(x)), mask)
    return jnp.zeros(self.observation_shape).at[x].add(ones)

  def _prior(self) -> Profile:
    prior = Dirichlet(jnp.full(self.topics, self.alpha))
    if self.profile == 'dirichlet':
      return prior
    return LogisticNormal(prior.laplace())

  def _posterior(self, counts: jax.Array) -> Profile:
    """q(gamma | counts [..., V]); without words it is the prior."""
    size = counts.sum(-1, keepdims=True)
    told = self.encoder(counts / jnp.maximum(size, 1.0), jnp.log1p(size))
    if self.profile == 'dirichlet':
      # As the true one would, were the topic of each word known: it counts.
      return Dirichlet(self.alpha + size * nn.softplus(told) / self.topics)
    told = jnp.where(size > 0, told, 0.0)
    # In units of the prior.
    q, prior = DiagGaussian.from_parameters(told), self._prior().laplace()
    mean = prior.mean + jnp.exp(0.5 * prior.logvar) * q.mean
    return LogisticNormal(DiagGaussian(mean, prior.logvar + q.logvar))

  def _log_topics(self) -> jax.Array:
    return jax.nn.log_softmax(self.topic_logits)

  def _log_likelihood(self, latent: jax.Array, x: jax.Array) -> jax.Array:
    """log p(x_t | gamma): latents [..., D], words [T] -> [..., T]."""
    log_profile = jax.nn.log_softmax(latent)[..., None, :]
    mixture = log_profile + self._log_topics()[:, x].T
    return jax.nn.logsumexp(mixture, axis=-1)
