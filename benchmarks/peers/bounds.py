"""The importance-weighted bound and its doubly reparameterised gradient."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn


def iwae(log_weights: Tensor) -> Tensor:
  """log of the mean weight of K samples, [K, ...] -> [...]."""
  return torch.logsumexp(log_weights, 0) - math.log(len(log_weights))


def dreg(
  latents: tuple[Tensor, ...], log_weights: Callable[..., Tensor]
) -> Tensor:
  """The same, without the score term of q in its gradient: [...].

  The gradient that reaches q through a sample carries the squared weight: one
  factor stands in the surrogate, the other in the hooks.

  Args:
    latents: reparameterised samples of q, [K, ..., D] each.
    log_weights: latents -> log p - log q [K, ...], the parameters of q frozen.
  """
  weights = []
  if len(latents[0]) > 1:
    latents = tuple(latent.view_as(latent) for latent in latents)
    for latent in latents:
      latent.register_hook(lambda g: g * weights[0].unsqueeze(-1))
  values = log_weights(*latents)
  plain = values.detach()
  weights.append(plain.softmax(0))
  surrogate = (weights[0] * values).sum(0)
  return iwae(plain) + surrogate - surrogate.detach()


class Frozen:
  """A module called with its parameters detached."""

  def __init__(self, module: nn.Module):
    self.module = module
    self.parameters = {
      name: value.detach() for name, value in module.named_parameters()
    }

  def __call__(self, *vectors: Tensor) -> Tensor:
    return torch.func.functional_call(self.module, self.parameters, vectors)
