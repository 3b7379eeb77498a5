"""The families of image nets and of what stands between vectors.

Encoders map [..., H, W, C] to [..., features], decoders vectors [..., D_i] to
[..., H, W, C].
"""

from collections.abc import Sequence

from benchmarks.peers.conv import ConvDecoder, ConvEncoder
from benchmarks.peers.dense import MLP, DenseDecoder, DenseEncoder
from benchmarks.peers.mixer import (
  MixerDecoder,
  MixerEncoder,
  TokenMixer,
  num_tokens,
)
from benchmarks.peers.residual import ResidualDecoder, ResidualEncoder

NETS = {
  'conv': (ConvEncoder, ConvDecoder),
  'dense': (DenseEncoder, DenseDecoder),
  'mixer': (MixerEncoder, MixerDecoder),
  'residual': (ResidualEncoder, ResidualDecoder),
}


def make_head(
  nets: str, shape, width: int, depth: int, inputs: Sequence[int], features: int
) -> MLP | TokenMixer:
  """What maps vectors [..., F_i] to parameters [..., features]."""
  if nets != 'mixer':
    return MLP(sum(inputs), features, width, depth)
  return TokenMixer(num_tokens(shape), inputs, features, width, depth)
