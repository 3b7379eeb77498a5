"""The training step of every twin: Adam, clipped gradients, averaging."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import swa_utils

from gen1shot.config import Config


class Step:
  """A training step: images [B, T, H, W, C] -> loss in nats per object, [].

  The model has the methods `elbo(images, kl_weight)` and
  `iwae(images, num_samples, dreg)`, whose means are maximised.
  """

  def __init__(self, config: Config, model: nn.Module):
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

  def __call__(self, images: Tensor) -> Tensor:
    loss = self.loss(images)
    self.optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
    self.optimiser.step()
    self.averaged.update_parameters(self.model)
    self.steps += 1
    return loss.detach()

  def loss(self, images: Tensor) -> Tensor:
    warmup = max(self.config.kl_warmup, 1)
    return -self.bound(images, min(1.0, (self.steps + 1) / warmup)).mean()

  def bound(self, images: Tensor, kl_weight: float) -> Tensor:
    """What is maximised, of each episode or image; may be compiled."""
    if self.config.objective == 'iwae':
      dreg = self.config.gradient == 'dreg'
      return self.model.iwae(images, self.config.num_samples, dreg)
    return self.model.elbo(images, kl_weight)


def make_step(
  model: type[nn.Module],
  config: Config,
  module_fields: Mapping[str, Any],
  observation_shape: tuple[int, ...],
  device: str = 'cpu',
) -> Step:
  """The training step of a fresh model on a device.

  Args:
    model: class of the twin.
    config: objective and optimiser are read.
    module_fields: as `zoo.module_fields` gives them.
    observation_shape: (H, W, C).
    device: for PyTorch.
  """
  fresh = model(observation_shape, **module_fields)
  return Step(config, fresh.to(device, memory_format=torch.channels_last))
