"""A PyTorch twin of gen1shot/models/gmn.py, for Bernoulli images.

Initial values are PyTorch's own and the learning rate stays at its highest;
neither changes the time of a step.

Shapes: B episodes, T objects, K importance samples, D the size of a latent, F
features, P pseudo-inputs, M = T + P, S the match space. Axes of samples stand
before those of episodes: [K, B, T, D].
"""

import functools
from typing import NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.peers import bounds, chains
from benchmarks.peers.dense import join
from benchmarks.peers.distributions import bernoulli_log_prob
from benchmarks.peers.images import NETS, make_head
from benchmarks.peers.matching import Matching, Memory, unit
from benchmarks.peers.step import make_step as make_step_of
from gen1shot.errors import check_choice

Given = tuple[Tensor, Tensor]
Zs = tuple[Tensor, ...]  # L arrays [K, B, T, D], z_L first


class Encoded(NamedTuple):
  """What follows from the objects alone."""

  memory: Memory  # M objects, the pseudo-inputs last
  prior: Given  # vectors [B, T, .] that p(z | x_<t) is given
  posterior: Given  # vectors [B, T, .] that q(z | x_t, x_<t) is given


class GenerativeMatchingNetwork(nn.Module):
  """The matching network; the fields are those of its Flax namesake."""

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
    match_size: int,
    matching: str,
    passes: int,
    prior_passes: int,
    pseudo_inputs: int,
    use_pseudo_inputs: bool,
    decoder: str,
    z_dim: int,
    layers: int,
  ):
    check_choice('observation of the twin', observation, ['bernoulli'])
    super().__init__()
    self.matching = matching
    self.use_pseudo_inputs = use_pseudo_inputs
    make_encoder, make_decoder = NETS[nets]
    if decoder == 'dynamic':
      make_decoder = functools.partial(make_decoder, dynamic=True)
    self.encoder = make_encoder(
      observation_shape, width, encoder_depth, features
    )
    self.image_net = make_decoder(
      observation_shape, width, decoder_depth, [z_dim] * layers + [features]
    )

    def question(inputs: int) -> nn.Linear | None:
      asks = matching != 'average'
      return nn.Linear(inputs + match_size, match_size) if asks else None

    self.key_net = nn.Linear(features, match_size)
    self.shared = Matching(features, match_size, passes, matching)
    self.ask_of_x = question(features)
    self.ask_of_z = question(layers * z_dim)
    self.alone = Matching(features, match_size, prior_passes, matching)
    self.ask_alone = question(0)
    head = functools.partial(
      make_head, nets, observation_shape, hidden, mlp_depth
    )
    above = [[z_dim] if l else [] for l in range(layers)]
    self.priors = nn.ModuleList(
      head([features, match_size, *z], 2 * z_dim) for z in above
    )
    self.posteriors = nn.ModuleList(
      head([features, features, *z], 2 * z_dim) for z in above
    )
    self.pseudo_values = nn.Parameter(torch.randn(pseudo_inputs, features))
    self.pseudo_keys = nn.Parameter(torch.randn(pseudo_inputs, match_size))

  def elbo(self, x: Tensor, kl_weight: float) -> Tensor:
    """The joint bound in nats per object: [B, T, H, W, C] -> [B]."""
    encoded = self.encode(x)
    zs, kl = chains.sample_with_kl(
      self.posteriors, encoded.posterior, self.priors, encoded.prior
    )
    return (self._log_likelihood(x, encoded, zs) - kl_weight * kl).mean(1)

  def iwae(self, x: Tensor, num_samples: int, dreg: bool) -> Tensor:
    """Bounds on log p(x_t | x_<t): [B, T, H, W, C] -> [B, T]."""
    encoded = self.encode(x)
    given = encoded.posterior
    zs = chains.sample(self.posteriors, *given, shape=(num_samples,))
    if not dreg:
      log_q = chains.log_prob(self.posteriors, zs, *given)
      return bounds.iwae(self.log_p(x, encoded, zs) - log_q)
    frozen = [bounds.Frozen(posterior) for posterior in self.posteriors]
    given = [vector.detach() for vector in given]

    def log_weights(*zs: Tensor) -> Tensor:
      log_q = chains.log_prob(frozen, zs, *given)
      return self.log_p(x, encoded, zs) - log_q

    return bounds.dreg(zs, log_weights)

  def encode(self, x: Tensor) -> Encoded:
    """[B, T, H, W, C]; every prefix in one pass."""
    h = self.encoder(x)
    memory = self._memory(h)
    known, state = self.alone(memory, self.ask_alone)
    state = self.alone.controller(known, state)
    answer, _ = self.shared(memory, lambda state: self.ask_of_x(join(h, state)))
    return Encoded(memory, (known, state), (h, answer))

  def log_p(self, x: Tensor, encoded: Encoded, zs: Zs) -> Tensor:
    """log p(x_t | z, x_<t) p(z | x_<t): [K, B, T]."""
    prior = chains.log_prob(self.priors, zs, *encoded.prior)
    return prior + self._log_likelihood(x, encoded, zs)

  def _memory(self, h: Tensor) -> Memory:
    B, T, _ = h.shape
    pseudo = [
      p.expand(B, -1, -1) for p in (self.pseudo_values, self.pseudo_keys)
    ]
    values, keys = (
      torch.cat(parts, 1)
      for parts in zip((h, self.key_net(h)), pseudo, strict=True)
    )
    if self.matching == 'cosine':
      keys = unit(keys)
    visible = torch.full(
      (T, values.shape[1]), self.use_pseudo_inputs, device=h.device
    )
    visible[:, :T] = torch.ones_like(visible[:, :T]).tril(-1)
    return Memory(values, keys, visible)

  def _log_likelihood(self, x: Tensor, encoded: Encoded, zs: Zs) -> Tensor:
    answer, _ = self.shared(
      encoded.memory, lambda state: self.ask_of_z(join(*zs, state))
    )
    return bernoulli_log_prob(self.image_net(*zs, answer), x)


make_step = functools.partial(make_step_of, GenerativeMatchingNetwork)
