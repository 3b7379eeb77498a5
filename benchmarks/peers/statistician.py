"""A PyTorch twin of gen1shot/models/statistician.py, for Bernoulli images.

The same layers, sizes, objectives and optimiser, written for PyTorch: eager,
convolutions in channels_last, a batch of episodes handled as one array,
foreach and fused optimiser kernels. Initial values are PyTorch's own and the
learning rate stays at its highest; neither changes the time of a step.

Shapes: B episodes, T objects, K importance samples, D the size of a latent, F
features. Axes of samples stand before those of episodes: [K, B, T, D].
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import swa_utils

from gen1shot.config import Config
from gen1shot.errors import check_choice

PATCH = 7  # pixels, of the mixer
START_LOGVAR = -3.0  # of q(c | set), before training
LOG_2PI = math.log(2 * math.pi)

Latents = tuple[Tensor, ...]  # c, then z_L..z_1


class Gaussian(NamedTuple):
  """N(mean, exp(logvar)), independent elements."""

  mean: Tensor
  logvar: Tensor

  def sample(self, *shape: int) -> Tensor:
    noise = torch.randn(*shape, *self.mean.shape, device=self.mean.device)
    return torch.addcmul(self.mean, torch.exp(0.5 * self.logvar), noise)

  def log_prob(self, x: Tensor) -> Tensor:
    """The density of vectors, [..., D] -> [...]."""
    squares = (x - self.mean) ** 2 * torch.exp(-self.logvar)
    return -0.5 * (squares + self.logvar + LOG_2PI).sum(-1)

  def kl(self, p: 'Gaussian') -> Tensor:
    """KL(self || p) of vectors, [..., D] -> [...]."""
    ratio = torch.exp(self.logvar - p.logvar)
    distance = (self.mean - p.mean) ** 2 * torch.exp(-p.logvar)
    return 0.5 * (ratio + distance - 1 + p.logvar - self.logvar).sum(-1)

  def detach(self) -> 'Gaussian':
    return Gaussian(self.mean.detach(), self.logvar.detach())


def gaussian(parameters: Tensor) -> Gaussian:
  """[..., 2 D] -> [..., D], the log variance squashed to (-7, 7)."""
  mean, logvar = parameters.chunk(2, -1)
  return Gaussian(mean, 7 * torch.tanh(logvar / 7))


class MLP(nn.Module):
  """Vectors [..., F_i], joined -> [..., features], `depth` residual layers."""

  def __init__(self, inputs: int, features: int, width: int, depth: int):
    super().__init__()
    self.first = nn.Linear(inputs, width) if depth else None
    self.residual = nn.ModuleList(
      nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
      for _ in range(depth - 1)
    )
    self.last = nn.Linear(width if depth else inputs, features)

  def forward(self, *vectors: Tensor) -> Tensor:
    x = join(*vectors)
    if self.first is not None:
      x = functional.relu(self.first(x))
    for branch in self.residual:
      x = x + branch(x)
    return self.last(x)


class DenseEncoder(nn.Module):
  """[N, H, W, C] -> [N, features]."""

  def __init__(self, shape, width: int, depth: int, features: int):
    super().__init__()
    self.mlp = MLP(math.prod(shape), features, width, depth)

  def forward(self, x: Tensor) -> Tensor:
    return self.mlp(x.flatten(1))


class DenseDecoder(nn.Module):
  """Vectors [..., D_i] -> [..., H, W, C]."""

  def __init__(self, shape, width: int, depth: int, inputs: Sequence[int]):
    super().__init__()
    self.shape = shape
    self.mlp = MLP(sum(inputs), math.prod(shape), width, depth)

  def forward(self, *vectors: Tensor) -> Tensor:
    return self.mlp(*vectors).unflatten(-1, self.shape)


class MixerBlock(nn.Module):
  """Mixes tokens, then channels: [..., tokens, width], same shape."""

  def __init__(self, tokens: int, width: int):
    super().__init__()
    self.tokens, self.channels = (
      nn.Sequential(nn.Linear(n, 2 * n), nn.ReLU(), nn.Linear(2 * n, n))
      for n in (tokens, width)
    )

  def forward(self, x: Tensor) -> Tensor:
    x = x + self.tokens(x.mT).mT
    return x + self.channels(x)


class MixerEncoder(nn.Module):
  """[N, H, W, C] -> [N, features], features / tokens of each token."""

  def __init__(self, shape, width: int, depth: int, features: int):
    super().__init__()
    tokens = num_tokens(shape)
    self.patches = nn.Linear(PATCH**2 * shape[-1], width)
    self.blocks = nn.Sequential(
      *(MixerBlock(tokens, width) for _ in range(depth))
    )
    self.last = nn.Linear(width, features // tokens)

  def forward(self, x: Tensor) -> Tensor:
    n, height, width, channels = x.shape
    x = x.view(n, height // PATCH, PATCH, width // PATCH, PATCH, channels)
    x = x.transpose(2, 3).reshape(n, -1, PATCH**2 * channels)
    return self.last(self.blocks(self.patches(x))).flatten(1)


class TokenMixer(nn.Module):
  """Vectors of tokens [..., F_i] -> [..., features], `depth` mixer blocks.

  A vector of fewer numbers than tokens is seen by all tokens. Each of `parts`
  equal parts of the output is a vector of tokens.
  """

  def __init__(
    self,
    tokens: int,
    inputs: Sequence[int],
    features: int,
    width: int,
    depth: int,
    parts: int = 2,
  ):
    super().__init__()
    self.tokens, self.parts = tokens, parts
    channels = sum(n if n < tokens else n // tokens for n in inputs)
    self.first = nn.Linear(channels, width)
    self.blocks = nn.Sequential(
      *(MixerBlock(tokens, width) for _ in range(depth))
    )
    self.last = nn.Linear(width, features // tokens)

  def forward(self, *vectors: Tensor) -> Tensor:
    x = join(*(self._to_tokens(v) for v in vectors))
    x = self.last(self.blocks(self.first(x)))
    x = x.unflatten(-1, (self.parts, -1)).transpose(-2, -3)
    return x.flatten(-3)

  def _to_tokens(self, v: Tensor) -> Tensor:
    if v.shape[-1] < self.tokens:
      return v.unsqueeze(-2)
    return v.unflatten(-1, (self.tokens, -1))


class MixerDecoder(nn.Module):
  """Vectors of tokens [..., D_i] -> [..., H, W, C]."""

  def __init__(self, shape, width: int, depth: int, inputs: Sequence[int]):
    super().__init__()
    self.rows, self.columns = shape[0] // PATCH, shape[1] // PATCH
    self.mixer = TokenMixer(
      num_tokens(shape), inputs, math.prod(shape), width, depth, parts=1
    )

  def forward(self, *vectors: Tensor) -> Tensor:
    x = self.mixer(*vectors)
    x = x.unflatten(-1, (self.rows, self.columns, PATCH, PATCH, -1))
    return x.transpose(-3, -4).flatten(-5, -4).flatten(-3, -2)


def num_tokens(shape: tuple[int, ...]) -> int:
  """How many patches an image [H, W, C] has."""
  return shape[0] // PATCH * (shape[1] // PATCH)


class Normalised(nn.Module):
  """A layer of images [N, C, H, W], each image normalised, then ELU."""

  def __init__(self, layer: nn.Conv2d | nn.ConvTranspose2d):
    super().__init__()
    self.layer = layer
    self.norm = nn.GroupNorm(1, layer.out_channels, eps=1e-6)

  def forward(self, x: Tensor) -> Tensor:
    return functional.elu(self.norm(self.layer(x)), inplace=True)


def conv(inputs: int, channels: int, stride: int = 1, pad: bool = True):
  """A 3x3 convolution.

  At stride 2, `padding=1` leaves the last row and column of even sides
  unpadded, XLA's SAME the first: the encoders are mirror images.
  """
  layer = nn.Conv2d(inputs, channels, 3, stride, int(pad), bias=False)
  return Normalised(layer)


class ConvEncoder(nn.Module):
  """[N, 28, 28, C] -> [N, features]."""

  def __init__(self, shape, width: int, depth: int, features: int):
    super().__init__()
    del depth  # fixed by the publication
    layers, inputs = [], shape[-1]
    for channels in (width, 2 * width, 4 * width):
      for stride in (1, 1, 2):
        layers.append(conv(inputs, channels, stride))
        inputs = channels
    self.stages = nn.Sequential(*layers)
    self.last = nn.Linear(4 * 4 * inputs, features)

  def forward(self, x: Tensor) -> Tensor:
    x = self.stages(x.permute(0, 3, 1, 2))
    return self.last(x.permute(0, 2, 3, 1).flatten(1))


class ConvDecoder(nn.Module):
  """Vectors [..., D_i] -> [..., 28, 28, C]."""

  def __init__(self, shape, width: int, depth: int, inputs: Sequence[int]):
    super().__init__()
    del depth  # fixed by the publication
    self.first = nn.Linear(sum(inputs), 4 * 4 * 4 * width)
    layers, before = [], 4 * width
    for channels in (4 * width, 2 * width, width):
      layers += [
        conv(before, channels),
        conv(channels, channels, pad=channels > width),
        Normalised(nn.ConvTranspose2d(channels, channels, 2, 2, bias=False)),
      ]
      before = channels
    self.stages = nn.Sequential(*layers)
    self.last = nn.Linear(before, shape[-1])

  def forward(self, *vectors: Tensor) -> Tensor:
    v = join(*vectors)
    x = self.first(v).view(-1, 4, 4, self.first.out_features // 16)
    x = self.last(self.stages(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))
    return x.unflatten(0, v.shape[:-1])


NETS = {
  'conv': (ConvEncoder, ConvDecoder),
  'dense': (DenseEncoder, DenseDecoder),
  'mixer': (MixerEncoder, MixerDecoder),
}


def make_head(
  nets: str, shape, width: int, depth: int, inputs: Sequence[int], features: int
) -> MLP | TokenMixer:
  """What maps vectors [..., F_i] to parameters [..., features]."""
  if nets != 'mixer':
    return MLP(sum(inputs), features, width, depth)
  return TokenMixer(num_tokens(shape), inputs, features, width, depth)


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
    sample_dropout: bool,
  ):
    check_choice('observation of the twin', observation, ['bernoulli'])
    super().__init__()
    self.sample_dropout = sample_dropout
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
    h = self.encode(x)
    kept = torch.ones(B, T, device=x.device)
    if self.sample_dropout:
      kept = keep_some(kept)
    count = kept.sum(1)
    means = (kept.unsqueeze(-1) * h).sum(1) / count.unsqueeze(-1)
    q_c = self.context(means, count)
    kl = q_c.kl(Gaussian(*torch.zeros(2, 1, device=x.device)))
    c = q_c.sample().unsqueeze(1)
    latents = (c,)
    for q, p in zip(self.posteriors, self.priors, strict=True):
      above = latents[1:][-1:]
      q_z = gaussian(q(h, c, *above))
      kl = kl + q_z.kl(gaussian(p(c, *above))).sum(1)
      latents = (*latents, q_z.sample())
    return (self._log_likelihood(x, latents).sum(1) - kl_weight * kl) / T

  def iwae(self, x: Tensor, num_samples: int, dreg: bool) -> Tensor:
    """Bounds on log p(x_t | x_<t): [B, T, H, W, C] -> [B, T]."""
    h = self.encode(x)
    p_c, q_c = self.prefix_contexts(h)
    latents = (q_c.sample(num_samples),)
    for posterior in self.posteriors:
      latents = (*latents, self._local(posterior, h, latents).sample())
    if not dreg:
      log_q = self.log_q(self.posteriors, h, q_c, latents)
      return log_mean_exp(self.log_p(x, p_c, latents) - log_q)
    # The gradient that reaches q through a sample carries the squared weight:
    # one factor stands in the sum below, the other in these hooks.
    weights = []
    if num_samples > 1:
      latents = tuple(latent.view_as(latent) for latent in latents)
      for latent in latents:
        latent.register_hook(lambda g: g * weights[0].unsqueeze(-1))
    frozen = [Frozen(posterior) for posterior in self.posteriors]
    log_q = self.log_q(frozen, h.detach(), q_c.detach(), latents)
    log_weights = self.log_p(x, p_c, latents) - log_q
    plain = log_weights.detach()
    weights.append(plain.softmax(0))
    surrogate = (weights[0] * log_weights).sum(0)
    return log_mean_exp(plain) + surrogate - surrogate.detach()

  # Pieces.

  def encode(self, x: Tensor) -> Tensor:
    """[B, T, H, W, C] -> [B, T, F]."""
    return self.encoder(x.flatten(0, 1)).view(*x.shape[:2], -1)

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

  def _local(self, posterior: Callable, h: Tensor, latents: Latents):
    """q(z_l | z_l+1, x, c) given c and the layers above it."""
    return gaussian(posterior(h, latents[0], *latents[1:][-1:]))

  def log_q(self, posteriors, h: Tensor, q_c: Gaussian, latents: Latents):
    """log q(z | x, c) q(c | x_<=t): [K, B, T]."""
    log_q = q_c.log_prob(latents[0])
    for l, posterior in enumerate(posteriors, start=1):
      q_z = self._local(posterior, h, latents[:l])
      log_q = log_q + q_z.log_prob(latents[l])
    return log_q

  def log_p(self, x: Tensor, p_c: Gaussian, latents: Latents) -> Tensor:
    """log p(x | z, c) p(z | c) q(c | x_<t): [K, B, T]."""
    log_p = p_c.log_prob(latents[0])
    for l, prior in enumerate(self.priors, start=1):
      p_z = gaussian(prior(latents[0], *latents[1:l][-1:]))
      log_p = log_p + p_z.log_prob(latents[l])
    return log_p + self._log_likelihood(x, latents)

  def _log_likelihood(self, x: Tensor, latents: Latents) -> Tensor:
    logits = self.decode(latents)
    losses = functional.binary_cross_entropy_with_logits(
      logits, x.expand_as(logits), reduction='none'
    )
    return -losses.flatten(-3).sum(-1)


class Frozen:
  """A module called with its parameters detached."""

  def __init__(self, module: nn.Module):
    self.module = module
    self.parameters = {
      name: value.detach() for name, value in module.named_parameters()
    }

  def __call__(self, *vectors: Tensor) -> Tensor:
    return torch.func.functional_call(self.module, self.parameters, vectors)


def keep_some(kept: Tensor) -> Tensor:
  """Sample dropout: random subsets of a uniform size, as 0 and 1 [B, T]."""
  B, T = kept.shape
  ranks = torch.rand_like(kept).argsort(1).argsort(1)
  sizes = torch.randint(1, T + 1, (B, 1), device=kept.device)
  return (ranks < sizes).to(kept)


def join(*inputs: Tensor) -> Tensor:
  """Concatenates on the last axis, with the other axes broadcast."""
  lead = torch.broadcast_shapes(*(x.shape[:-1] for x in inputs))
  return torch.cat([x.expand(*lead, x.shape[-1]) for x in inputs], -1)


def log_mean_exp(x: Tensor) -> Tensor:
  """log of the mean of exp(x) over the first axis."""
  return torch.logsumexp(x, 0) - math.log(len(x))


class Step:
  """A training step: images [B, T, H, W, C] -> loss in nats per object."""

  def __init__(self, config: Config, model: Statistician):
    self.config = config
    self.model = model
    self.averaged = swa_utils.AveragedModel(
      model, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(config.ema_decay)
    )
    self.optimiser = torch.optim.Adam(
      model.parameters(), config.learning_rate, fused=True
    )
    self.steps = 0

  @property
  def num_parameters(self) -> int:
    return sum(p.numel() for p in self.model.parameters())

  def __call__(self, images: Tensor) -> float:
    loss = self.loss(images)
    self.optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
    self.optimiser.step()
    self.averaged.update_parameters(self.model)
    self.steps += 1
    return loss.item()

  def loss(self, images: Tensor) -> Tensor:
    if self.config.objective == 'iwae':
      dreg = self.config.gradient == 'dreg'
      return -self.model.iwae(images, self.config.num_samples, dreg).mean()
    warmup = max(self.config.kl_warmup, 1)
    kl_weight = min(1.0, (self.steps + 1) / warmup)
    return -self.model.elbo(images, kl_weight).mean()


def make_step(
  config: Config,
  module_fields: Mapping[str, Any],
  observation_shape: tuple[int, ...],
  device: str = 'cpu',
) -> Step:
  """The training step of a fresh model on a device.

  Args:
    config: objective and optimiser are read.
    module_fields: as `zoo.module_fields` gives them.
    observation_shape: (H, W, C).
    device: for PyTorch.
  """
  model = Statistician(observation_shape, **module_fields)
  model = model.to(device, memory_format=torch.channels_last)
  return Step(config, model)
