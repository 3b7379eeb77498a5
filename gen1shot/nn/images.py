"""Encoders of images to feature vectors and decoders back.

Four families behind three constructors: `conv`, the published convolutions of
the neural statistician; `residual`, those of generative matching networks;
`mixer`, matrix products only (patches and mixer blocks, Tolstikhin et al.
2021), the faster one where convolutions are slow; `dense`, residual MLPs on the
flat array, for objects of any shape.

Encoders map [..., *shape] to [..., features], heads and decoders several
vectors [..., D_i] to one, or to [..., *shape[:-1], outputs]; any leading axes.
"""

from flax import linen as nn

from gen1shot.errors import InputError, check_choice
from gen1shot.nn import residual
from gen1shot.nn.conv import ConvDecoder, ConvEncoder
from gen1shot.nn.dense import MLP, DenseDecoder, DenseEncoder
from gen1shot.nn.mixer import (
  PATCH,
  MixerDecoder,
  MixerEncoder,
  TokenMixer,
  num_tokens,
)

NETS = ('conv', 'dense', 'mixer', 'residual')
CONVOLUTIONS = ('conv', 'residual')


def image_encoder(
  nets: str, shape: tuple[int, ...], width: int, depth: int, features: int
) -> nn.Module:
  """The encoder of a family: [..., *shape] -> [..., features].

  `width` counts channels (of the first stage, for `conv`), `depth` blocks
  (for `conv` it is fixed by the publication, for `residual` both are).

  Raises:
    InputError: unknown family, or a shape that the family cannot take.
  """
  _check(nets, shape)
  if nets == 'conv':
    return ConvEncoder(width, features)
  if nets == 'mixer':
    _check_divides(num_tokens(shape), features)
    return MixerEncoder(width, depth, features)
  if nets == 'residual':
    if features != residual.FEATURES:
      raise InputError(
        f'nets=residual has features {residual.FEATURES}; got {features}'
      )
    return residual.ResidualEncoder()
  return DenseEncoder(width, depth, features, len(shape))


def image_decoder(
  nets: str,
  shape: tuple[int, ...],
  width: int,
  depth: int,
  outputs: int,
  dynamic: bool = False,
) -> nn.Module:
  """The decoder of a family: [..., D] -> [..., *shape[:-1], outputs].

  With `dynamic` its last input predicts factors of its filters (`residual`).

  Raises:
    InputError: unknown family, or a shape that the family cannot give.
  """
  _check(nets, shape)
  if dynamic and nets != 'residual':
    raise InputError(f'decoder=dynamic goes with nets=residual; got {nets}')
  if nets == 'conv':
    return ConvDecoder(width, outputs)
  if nets == 'residual':
    return residual.ResidualDecoder(outputs, dynamic)
  if nets == 'mixer':
    return MixerDecoder(shape, width, depth, outputs)
  return DenseDecoder(shape, width, depth, outputs)


def image_head(
  nets: str, shape: tuple[int, ...], width: int, depth: int, features: int
) -> nn.Module:
  """What maps vectors [..., F_i] to parameters [..., features], two a number.

  An MLP, but for `mixer`: there a vector is a row of tokens, one a patch, and
  stays one, so that what is known of a place in the image is found there.

  Raises:
    InputError: vectors of these sizes cannot be divided among the tokens.
  """
  _check(nets, shape)
  if nets != 'mixer':
    return MLP(features, width, depth)
  tokens = num_tokens(shape)
  _check_divides(tokens, features // 2)
  return TokenMixer(tokens, features, width, depth)


def _check_divides(tokens: int, size: int) -> None:
  if size % tokens:
    raise InputError(
      f'with nets=mixer, features, c_dim and z_dim must be divisible by the '
      f'{tokens} patches of an image; got {size}'
    )


def _check(nets: str, shape: tuple[int, ...]) -> None:
  check_choice('nets', nets, NETS)
  if nets in CONVOLUTIONS and shape[:-1] != (28, 28):
    raise InputError(f'nets={nets} takes images of 28x28 pixels; got {shape}')
  if nets == 'mixer' and (
    len(shape) != 3 or shape[0] % PATCH or shape[1] % PATCH
  ):
    raise InputError(
      f'nets=mixer takes images [H, W, C] of sides divisible by {PATCH}; '
      f'got {shape}'
    )
