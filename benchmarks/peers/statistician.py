"""A PyTorch twin of gen1shot/models/statistician.py, for Bernoulli images.

The same layers, sizes, objectives and optimiser, written for PyTorch: eager,
convolutions in channels_last, a batch of episodes handled as one array,
foreach and fused optimiser kernels. Initial values are PyTorch's own and the
learning rate stays at its highest; neither changes the time of a step.

Shapes: B episodes, T objects, K importance samples, D the size of a latent, F
features. Axes of samples stand before those of episodes: [K, B, T, D].
"""

import functools

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.peers import bounds, chains
from benchmarks.peers.distributions import (
  STANDARD,
  Gaussian,
  bernoulli_log_prob,
  gaussian,
)
from benchmarks.peers.images import NETS, make_head
from benchmarks.peers.step import make_step as make_step_of
from gen1shot.errors import check_choice

START_LOGVAR = -3.0  # of q(c | set), before training

Latents = tuple[Tensor, ...]  # c, then z_L..z_1


class Statistician(nn.Module):
  """The neural statistician; the fields are those of its Flax namesake."""

  def __init__(
    self,
    observation_shape: tuple[int, ...],
    *,
    observation: str,
    nets: str,
    width: int,
    encoder_depth: int,
    decoder_depth: int,
    features: int,
    hidden: int,
    mlp_depth: int,
    c_dim: int,
    z_dim: int,
    layers: int,
    pooling: str,
    proposal: str,
    sample_dropout: bool,
  ):
    check_choice('observation of the twin', observation, ['bernoulli'])
    check_choice('pooling of the twin', pooling, ['mean'])
    super().__init__()
    self.proposal, self.sample_dropout = proposal, sample_dropout
    encoder, decoder = NETS[nets]
    self.encoder = encoder(observation_shape, width, encoder_depth, features)
    self.decoder = decoder(
      observation_shape, width, decoder_depth, [z_dim] * layers + [c_dim]
    )
    head = functools.partial(
      make_head, nets, observation_shape, hidden, mlp_depth
    )
    self.statistic = head([features, 1], 2 * c_dim)
    above = [[z_dim] if l else [] for l in range(layers)]
    self.priors = nn.ModuleList(head([c_dim, *z], 2 * z_dim) for z in above)
    self.posteriors = nn.ModuleList(
      head([features, c_dim, *z], 2 * z_dim) for z in above
    )

  def elbo(self, x: Tensor, kl_weight: float) -> Tensor:
    """The joint bound in nats per object: [B, T, H, W, C] -> [B]."""
    B, T = x.shape[:2]
    h = self.encoder(x)
    kept = torch.ones(B, T, device=x.device)
    if self.sample_dropout:
      kept = keep_some(kept)
    count = kept.sum(1)
    means = (kept.unsqueeze(-1) * h).sum(1) / count.unsqueeze(-1)
    q_c = self.context(means, count)
    c = q_c.sample().unsqueeze(1)
    zs, kl_local = chains.sample_with_kl(
      self.posteriors, (h, c), self.priors, (c,)
    )
    kl = q_c.kl(STANDARD) + kl_local.sum(1)
    return (self._log_likelihood(x, (c, *zs)).sum(1) - kl_weight * kl) / T

  def iwae(self, x: Tensor, num_samples: int, dreg: bool) -> Tensor:
    """Bounds on log p(x_t | x_<t): [B, T, H, W, C] -> [B, T]."""
    h = self.encoder(x)
    p_c, q_c = self.prefix_contexts(h)
    if self.proposal == 'before':
      q_c = p_c
    c = q_c.sample(num_samples)
    if self.proposal == 'before' and num_samples == 1:
      p_c = q_c = None  # their ratio is 1
    latents = (c, *chains.sample(self.posteriors, h, c))
    if not dreg:
      log_q = self.log_q(self.posteriors, h, q_c, latents)
      return bounds.iwae(self.log_p(x, p_c, latents) - log_q)
    frozen = [bounds.Frozen(posterior) for posterior in self.posteriors]

    def log_weights(*latents: Tensor) -> Tensor:
      fixed = None if q_c is None else q_c.detach()
      log_q = self.log_q(frozen, h.detach(), fixed, latents)
      return self.log_p(x, p_c, latents) - log_q

    return bounds.dreg(latents, log_weights)

  # Pieces.

  def decode(self, latents: Latents) -> Tensor:
    """Logits of the pixels: [..., D] each -> [..., H, W, C]."""
    c, *zs = latents
    return self.decoder(*zs, c)

  def context(self, pooled: Tensor, count: Tensor) -> Gaussian:
    """q(c | set) from pooled features [..., F] and counts [...]."""
    size = torch.log1p(count).unsqueeze(-1)
    mean, logvar = self.statistic(pooled, size).chunk(2, -1)
    parameters = torch.cat([mean, logvar + START_LOGVAR], -1)
    return gaussian(torch.where(size > 0, parameters, 0.0))

  def prefix_contexts(self, h: Tensor) -> tuple[Gaussian, Gaussian]:
    """q(c | x_<t) and q(c | x_<=t): [B, T, F] -> [B, T, D]."""
    B, T, _ = h.shape
    count = torch.arange(1, T + 1, device=h.device, dtype=h.dtype)
    upto = self.context(h.cumsum(1) / count[:, None], count.expand(B, T))
    mean, logvar = (
      functional.pad(part[:, :-1], (0, 0, 1, 0))
      for part in (upto.mean, upto.logvar)
    )
    return Gaussian(mean, logvar), upto

  def log_q(
    self,
    posteriors: chains.Chain,
    h: Tensor,
    q_c: Gaussian | None,
    latents: Latents,
  ) -> Tensor:
    """log q(z | x, c) q(c | x_<=t), or without c: [K, B, T]."""
    c, *zs = latents
    log_q = chains.log_prob(posteriors, zs, h, c)
    return log_q if q_c is None else log_q + q_c.log_prob(c)

  def log_p(self, x: Tensor, p_c: Gaussian | None, latents: Latents) -> Tensor:
    """log p(x | z, c) p(z | c) q(c | x_<t), or without c: [K, B, T]."""
    c, *zs = latents
    log_p = chains.log_prob(self.priors, zs, c)
    log_p = log_p + self._log_likelihood(x, latents)
    return log_p if p_c is None else log_p + p_c.log_prob(c)

  def _log_likelihood(self, x: Tensor, latents: Latents) -> Tensor:
    return bernoulli_log_prob(self.decode(latents), x)


def keep_some(kept: Tensor) -> Tensor:
  """Sample dropout: random subsets of a uniform size, as 0 and 1 [B, T]."""
  B, T = kept.shape
  ranks = torch.rand_like(kept).argsort(1).argsort(1)
  sizes = torch.randint(1, T + 1, (B, 1), device=kept.device)
  return (ranks < sizes).to(kept)


make_step = functools.partial(make_step_of, Statistician)
