"""The distributions of latents and pixels."""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

LOG_2PI = math.log(2 * math.pi)


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


# Without axes they go with arrays of any shape, on any device.
STANDARD = Gaussian(torch.zeros(()), torch.zeros(()))


def gaussian(parameters: Tensor) -> Gaussian:
  """[..., 2 D] -> [..., D], the log variance squashed to (-7, 7)."""
  mean, logvar = parameters.chunk(2, -1)
  return Gaussian(mean, 7 * torch.tanh(logvar / 7))


def bernoulli_log_prob(logits: Tensor, x: Tensor) -> Tensor:
  """log p of images: logits [..., H, W, C] -> [...], images broadcast."""
  losses = functional.binary_cross_entropy_with_logits(
    logits, x.expand_as(logits), reduction='none'
  )
  return -losses.flatten(-3).sum(-1)
