"""A PyTorch twin of gen1shot/models/vae.py, for Bernoulli images.

Initial values are PyTorch's own and the learning rate stays at its highest;
neither changes the time of a step.

Shapes: B episodes, T objects, K importance samples, D the size of a latent, F
features. Axes of samples stand before those of episodes: [K, B, T, D].
"""

import functools

from torch import Tensor, nn

from benchmarks.peers import bounds, chains
from benchmarks.peers.distributions import bernoulli_log_prob
from benchmarks.peers.images import NETS, make_head
from benchmarks.peers.step import make_step as make_step_of
from gen1shot.errors import check_choice


class VAE(nn.Module):
  """The variational autoencoder; the fields are those of its Flax namesake."""

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
    z_dim: int,
    layers: int,
  ):
    check_choice('observation of the twin', observation, ['bernoulli'])
    super().__init__()
    encoder, decoder = NETS[nets]
    self.encoder = encoder(observation_shape, width, encoder_depth, features)
    self.decoder = decoder(
      observation_shape, width, decoder_depth, [z_dim] * layers
    )
    head = functools.partial(
      make_head, nets, observation_shape, hidden, mlp_depth
    )
    self.priors = nn.ModuleList(
      head([z_dim], 2 * z_dim) for _ in range(layers - 1)
    )
    self.posteriors = nn.ModuleList(
      head([features, z_dim] if l else [features], 2 * z_dim)
      for l in range(layers)
    )

  def elbo(self, x: Tensor, kl_weight: float) -> Tensor:
    """The joint bound in nats per object: [B, T, H, W, C] -> [B]."""
    h = self.encoder(x)
    zs, kl = chains.sample_with_kl(self.posteriors, (h,), self._chain, ())
    return (self._log_likelihood(x, zs) - kl_weight * kl).mean(1)

  def iwae(self, x: Tensor, num_samples: int, dreg: bool) -> Tensor:
    """Bounds on log p(x_t): [B, T, H, W, C] -> [B, T]."""
    h = self.encoder(x)
    zs = chains.sample(self.posteriors, h, shape=(num_samples,))
    if not dreg:
      log_q = chains.log_prob(self.posteriors, zs, h)
      return bounds.iwae(self.log_p(x, zs) - log_q)
    frozen = [bounds.Frozen(posterior) for posterior in self.posteriors]
    return bounds.dreg(
      zs,
      lambda *zs: self.log_p(x, zs) - chains.log_prob(frozen, zs, h.detach()),
    )

  def log_p(self, x: Tensor, zs: tuple[Tensor, ...]) -> Tensor:
    """log p(x | z) p(z): [K, B, T]."""
    return chains.log_prob(self._chain, zs) + self._log_likelihood(x, zs)

  @property
  def _chain(self) -> chains.Chain:
    """p(z_L) = N(0, I), then p(z_l | z_l+1)."""
    return (None, *self.priors)

  def _log_likelihood(self, x: Tensor, zs: tuple[Tensor, ...]) -> Tensor:
    return bernoulli_log_prob(self.decoder(*zs), x)


make_step = functools.partial(make_step_of, VAE)
