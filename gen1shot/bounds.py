"""Variational bounds on log-likelihoods and their gradient estimators.

Free functions on one episode, in nats; `jax.vmap` adds the batch. K importance
samples, T objects.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

Params = Any
Latents = Any


@struct.dataclass
class Bound:
  """The terms of the ELBO on log p(x_1..x_T), each kept apart."""

  log_likelihood: jax.Array  # [T] E_q log p(x_t | z_t, c)
  kl_local: jax.Array  # [T] KL(q(z_t | x_t, c) || p(z_t | c))
  kl_context: jax.Array  # [] KL(q(c | x_1..x_T) || p(c)); 0 without a context

  def where(self, mask: jax.Array | None) -> 'Bound':
    """Without the objects that do not count: boolean [T], None for all."""
    if mask is None:
      return self
    return Bound(
      jnp.where(mask, self.log_likelihood, 0.0),
      jnp.where(mask, self.kl_local, 0.0),
      self.kl_context,
    )

  def elbo(
    self, kl_weight: jax.Array | float = 1.0, free_bits: float = 0.0
  ) -> jax.Array:
    """The bound: []; a lower bound of log p only at `kl_weight` 1.

    A context that costs less than `free_bits`, in nats, is counted as if it
    cost so much (Kingma et al. 2016, all dimensions as one group): there is
    nothing to gain from ignoring it. Models without one have none for free.
    """
    counted = jnp.maximum(self.kl_context, free_bits)
    kl = self.kl_local.sum() + jnp.where(self.kl_context == 0, 0, counted)
    return self.log_likelihood.sum() - kl_weight * kl


def kl_weight(step: jax.Array, warmup: int) -> jax.Array:
  """The weight of the KL terms: linear from 0 to 1 over `warmup` steps."""
  return jnp.minimum(1.0, (step + 1) / max(warmup, 1))


def log_mean_exp(x: jax.Array, axis: int = 0) -> jax.Array:
  """log of the mean of exp(x) over `axis`, without overflow."""
  return jax.nn.logsumexp(x, axis) - jnp.log(x.shape[axis])


def iwae(log_weights: jax.Array) -> jax.Array:
  """The importance-weighted bound, [K, ...] -> [...].

  Burda et al. 2016, equation 8. At K = 1 it is a sample of the ELBO.
  """
  return log_mean_exp(log_weights, axis=0)


def dreg(
  sample: Callable[[Params], Latents],
  log_p: Callable[[Params, Latents], jax.Array],
  log_q: Callable[[Params, Latents], jax.Array],
  params: Params,
) -> jax.Array:
  """The IWAE bound with the doubly reparameterised gradient.

  Tucker et al. 2019, equation 8: the score term of q is dropped, and the
  gradient that reaches q's parameters through sample k carries the squared
  normalised weight; those of p carry the weight itself, as in the plain
  estimator, of which this one has the expectation.

  Args:
    sample: reparameterised latents of q; every leaf is [K, T, ...].
    log_p: log p(x, latents), [K, T].
    log_q: log q(latents | x), [K, T].
    params: of both p and q; they may share parameters.

  Returns:
    [T]: value of the plain bound, gradient of the estimator.
  """
  latents = sample(params)
  frozen = jax.lax.stop_gradient(params)

  def log_weights(latents):
    return log_p(params, latents) - log_q(frozen, latents)

  if jax.tree.leaves(latents)[0].shape[0] == 1:
    return log_weights(latents)[0]  # the one weight is 1
  plain = jax.lax.stop_gradient(log_weights(latents))
  weights = jax.nn.softmax(plain, axis=0)
  latents = jax.tree.map(
    lambda leaf: _scale_gradient(
      leaf, weights.reshape(weights.shape + (1,) * (leaf.ndim - weights.ndim))
    ),
    latents,
  )
  surrogate = (weights * log_weights(latents)).sum(0)
  return iwae(plain) + surrogate - jax.lax.stop_gradient(surrogate)


@jax.custom_vjp
def _scale_gradient(x: jax.Array, factor: jax.Array) -> jax.Array:
  """x, with `factor` times its gradient and none for the factor."""
  del factor
  return x


_scale_gradient.defvjp(
  lambda x, factor: (x, factor),
  lambda factor, g: (g * factor, jnp.zeros_like(factor)),
)
