"""Chains of stochastic layers z_L -> ... -> z_1, each a diagonal Gaussian.

A chain is a sequence of L networks, z_L's first. Each maps the vectors that all
layers are given and, below the top, the layer above to a mean and a log
variance; `None` stands for N(0, I).
"""

from collections.abc import Callable, Sequence

from torch import Tensor

from benchmarks.peers.distributions import STANDARD, Gaussian, gaussian

Chain = Sequence[Callable[..., Tensor] | None]


def sample(
  chain: Chain, *given: Tensor, shape: tuple[int, ...] = ()
) -> tuple[Tensor, ...]:
  """Draws z_L..z_1; `shape` is put before the shape of the top layer."""
  zs = ()
  for network in chain:
    zs = (*zs, _layer(network, given, zs).sample(*(() if zs else shape)))
  return zs


def sample_with_kl(
  posterior: Chain,
  posterior_given: tuple[Tensor, ...],
  prior: Chain,
  prior_given: tuple[Tensor, ...],
) -> tuple[tuple[Tensor, ...], Tensor]:
  """Draws z_L..z_1 from one chain; its KL to the other, summed over layers."""
  zs, kl = (), 0
  for q_network, p_network in zip(posterior, prior, strict=True):
    q = _layer(q_network, posterior_given, zs)
    kl = kl + q.kl(_layer(p_network, prior_given, zs))
    zs = (*zs, q.sample())
  return zs, kl


def log_prob(chain: Chain, zs: Sequence[Tensor], *given: Tensor) -> Tensor:
  """log p(z_L..z_1 | given), [..., D] each -> [...]."""
  return sum(
    _layer(network, given, zs[:l]).log_prob(z)
    for l, (network, z) in enumerate(zip(chain, zs, strict=True))
  )


def _layer(
  network: Callable[..., Tensor] | None,
  given: Sequence[Tensor],
  above: Sequence[Tensor],
) -> Gaussian:
  """The distribution of the layer below those `above`."""
  if network is None:
    return STANDARD
  return gaussian(network(*given, *above[-1:]))
