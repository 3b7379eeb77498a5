"""A PyTorch twin of gen1shot/models/draw.py, for Bernoulli images.

Initial values are PyTorch's own and the learning rate stays at its highest;
neither changes the time of a step.
"""

import functools

import torch
from torch import Tensor, nn

from benchmarks.peers.canvas import LSTM, Reader, Writer
from benchmarks.peers.distributions import (
  STANDARD,
  bernoulli_log_prob,
  gaussian,
)
from benchmarks.peers.step import make_step as make_step_of
from gen1shot.errors import check_choice


class DRAW(nn.Module):
  """DRAW; the fields are those of its Flax namesake."""

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
    remat: bool,
  ):
    check_choice('observation of the twin', observation, ['bernoulli'])
    del remat  # saves memory, for time
    super().__init__()
    self.recurrent_steps = recurrent_steps
    *sides, channels = observation_shape
    both = (*sides, 2 * channels)
    self.reader = Reader(attention, read_size, hidden, both)
    self.writer = Writer(attention, write_size, hidden, observation_shape)
    self.encoder = LSTM(self.reader.features + hidden, hidden)
    self.decoder = LSTM(z_dim, hidden)
    self.posterior = nn.Linear(hidden, 2 * z_dim)
    self.blank = nn.Parameter(torch.zeros(observation_shape))

  def elbo(self, x: Tensor, kl_weight: float) -> Tensor:
    """The joint bound in nats per object: [B, T, H, W, C] -> [B]."""
    objects = x.flatten(0, 1)
    canvas, kl = self._infer(objects)
    bounds = bernoulli_log_prob(canvas, objects) - kl_weight * kl
    return bounds.view(x.shape[:2]).mean(1)

  def _infer(self, x: Tensor) -> tuple[Tensor, Tensor]:
    """Logits of x [N, H, W, C], and the KL [N] summed over steps."""
    canvas, kl = self.blank.expand_as(x), 0
    encoder, decoder = self.encoder.begin(x), self.decoder.begin(x)
    for _ in range(self.recurrent_steps):
      h, _ = decoder
      seen = self.reader(h, x, x - canvas.sigmoid())
      encoder = self.encoder(torch.cat([seen, h], 1), encoder)
      q = gaussian(self.posterior(encoder[0]))
      kl = kl + q.kl(STANDARD)
      decoder = self.decoder(q.sample(), decoder)
      canvas = canvas + self.writer(decoder[0])
    return canvas, kl


make_step = functools.partial(make_step_of, DRAW)
