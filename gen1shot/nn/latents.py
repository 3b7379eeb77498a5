"""Chains of stochastic layers z_L -> ... -> z_1, each a diagonal Gaussian.

A chain is a sequence of L networks, z_L's first. Each maps the vectors that all
layers are given and, below the top, the layer above to a mean and a log
variance; `None` stands for N(0, I).
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from gen1shot.distributions import DiagGaussian, kl

Network = Callable[..., jax.Array] | None
Chain = Sequence[Network]


def layer(network: Network, *given: jax.Array) -> DiagGaussian:
  """The distribution of one layer."""
  if network is None:
    return DiagGaussian.standard(())
  return DiagGaussian.from_parameters(network(*given))


def sample(
  chain: Chain,
  make_key: Callable[[], jax.Array],
  *given: jax.Array,
  shape: tuple[int, ...] = (),
) -> tuple[jax.Array, ...]:
  """Draws z_L..z_1; `shape` is put before the shape of the top layer."""
  zs = ()
  for network in chain:
    q = layer(network, *given, *zs[-1:])
    zs = (*zs, q.sample(make_key(), () if zs else shape))
  return zs


def sample_with_kl(
  posterior: Chain,
  posterior_given: tuple[jax.Array, ...],
  prior: Chain,
  prior_given: tuple[jax.Array, ...],
  make_key: Callable[[], jax.Array],
) -> tuple[tuple[jax.Array, ...], jax.Array]:
  """Draws z_L..z_1 from one chain; its KL to the other, summed over layers.

  The KL of a layer is in closed form, given the layer above that was drawn.
  """
  zs, divergence = (), jnp.zeros(())
  for q_network, p_network in zip(posterior, prior, strict=True):
    q = layer(q_network, *posterior_given, *zs[-1:])
    p = layer(p_network, *prior_given, *zs[-1:])
    divergence += kl(q, p).sum(-1)
    zs = (*zs, q.sample(make_key()))
  return zs, divergence


def log_prob(
  chain: Chain, zs: Sequence[jax.Array], *given: jax.Array
) -> jax.Array:
  """log p(z_L..z_1 | given), summed over layers and the last axis."""
  return sum(
    (
      layer(network, *given, *zs[max(l - 1, 0) : l]).log_prob(z).sum(-1)
      for l, (network, z) in enumerate(zip(chain, zs, strict=True))
    ),
    start=jnp.zeros(()),
  )
