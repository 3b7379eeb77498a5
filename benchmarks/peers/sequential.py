"""A PyTorch twin of gen1shot/models/sequential.py, for Bernoulli images.

Initial values are PyTorch's own and the learning rate stays at its highest;
neither changes the time of a step.

Shapes: B episodes, T objects, N = B T.
"""

import functools

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.peers.canvas import LSTM, GatedUpdate, Reader, Writer
from benchmarks.peers.distributions import (
  STANDARD,
  bernoulli_log_prob,
  gaussian,
)
from benchmarks.peers.step import make_step as make_step_of
from gen1shot.errors import check_choice


class SequentialGenerativeModel(nn.Module):
  """The sequential model; the fields are those of its Flax namesake."""

  def __init__(
    self,
    observation_shape: tuple[int, int, int],
    *,
    observation: str,
    recurrent_steps: int,
    hidden: int,
    z_dim: int,
    attention: str,
    read_size: int,
    write_size: int,
    canvas: str,
    canvas_channels: int,
    prior: str,
    remat: bool,
  ):
    check_choice('observation of the twin', observation, ['bernoulli'])
    del remat  # saves memory, for time
    super().__init__()
    self.recurrent_steps = recurrent_steps
    *sides, channels = observation_shape
    shape = (*sides, canvas_channels)
    reader = functools.partial(Reader, attention, read_size, hidden)
    self.example_reader = reader(observation_shape)
    self.object_reader = reader((*sides, 2 * channels))
    self.writer = Writer(attention, write_size, hidden, shape)
    self.update = GatedUpdate(canvas_channels) if canvas == 'gated' else None
    self.look = nn.Linear(self.example_reader.features + 1 + hidden, hidden)
    self.transition = LSTM(z_dim + hidden, hidden)
    seen = self.object_reader.features
    self.summary = nn.Linear(seen + 2 * hidden, hidden)
    self.posterior = nn.Linear(hidden, 2 * z_dim)
    learned = prior == 'learned'
    self.expected = nn.Linear(2 * hidden, 2 * z_dim) if learned else None
    self.pixels = nn.Linear(canvas_channels, channels)
    self.blank = nn.Parameter(torch.zeros(shape))

  def elbo(self, x: Tensor, kl_weight: float) -> Tensor:
    """The joint bound in nats per object: [B, T, H, W, C] -> [B]."""
    shown, present = (part.flatten(0, 1) for part in prefixes(x))
    objects = x.flatten(0, 1)
    logits, kl = self._infer(objects, shown, present)
    bounds = bernoulli_log_prob(logits, objects) - kl_weight * kl
    return bounds.view(x.shape[:2]).mean(1)

  def _infer(
    self, x: Tensor, shown: Tensor, present: Tensor
  ) -> tuple[Tensor, Tensor]:
    """Logits of x [N, H, W, C], and the KL [N] summed over steps."""
    canvas, kl = self.blank.expand(len(x), -1, -1, -1), 0
    state = self.transition.begin(x)
    for _ in range(self.recurrent_steps):
      h, _ = state
      v = torch.cat([self.example_reader(h, shown), present, h], 1)
      v = functional.relu(self.look(v))
      seen = self.object_reader(h, x, x - self.pixels(canvas).sigmoid())
      summary = functional.relu(self.summary(torch.cat([seen, v, h], 1)))
      q = gaussian(self.posterior(summary))
      p = STANDARD
      if self.expected:
        p = gaussian(self.expected(torch.cat([v, h], 1)))
      kl = kl + q.kl(p)
      state = self.transition(torch.cat([q.sample(), v], 1), state)
      drawn = self.writer(state[0])
      canvas = self.update(canvas, drawn) if self.update else canvas + drawn
    return self.pixels(canvas), kl


def prefixes(x: Tensor) -> tuple[Tensor, Tensor]:
  """The means of x_<t [B, T, H, W, C], and whether there are any [B, T, 1]."""
  B, T = x.shape[:2]
  counts = torch.arange(T, device=x.device, dtype=x.dtype).unsqueeze(1)
  weights = x.new_ones(T, T).tril(-1) / counts.clamp(min=1)
  means = (weights @ x.flatten(2)).view(x.shape)
  return means, counts.clamp(max=1).expand(B, -1, -1)


make_step = functools.partial(make_step_of, SequentialGenerativeModel)
