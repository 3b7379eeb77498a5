"""Gives a PyTorch twin the parameters of its Flax module, to compare them."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax.traverse_util import flatten_dict

from benchmarks.peers.conv import ConvEncoder
from benchmarks.peers.draw import DRAW
from benchmarks.peers.gmn import GenerativeMatchingNetwork
from benchmarks.peers.sequential import SequentialGenerativeModel
from benchmarks.peers.statistician import Statistician
from benchmarks.peers.vae import VAE

TWINS = {
  'statistician': Statistician,
  'gmn': GenerativeMatchingNetwork,
  'vae': VAE,
  'draw': DRAW,
  'sequential': SequentialGenerativeModel,
}
SHAPE = (28, 28, 1)
B, T = 2, 3


def images():
  """Episodes [B, T, *SHAPE] of images that half a turn does not change."""
  bits = jax.random.bernoulli(jax.random.key(2), 0.2, (B, T, *SHAPE))
  return (bits | bits[:, :, ::-1, ::-1]).astype(jnp.float32)


def to_torch(array):
  return torch.from_numpy(np.array(array))


def parameter_shapes(module):
  """Flat, in the order in which the layers are called."""
  order = []

  def init():
    keys = dict.fromkeys(('params', 'sample', 'dropout'), jax.random.key(0))
    tree = module.init(keys, images()[0], method='bound')['params']
    order.extend(flatten_dict(tree))  # what leaves a traced function is sorted
    return tree

  shapes = flatten_dict(jax.eval_shape(init))
  return {path: shapes[path].shape for path in order}


def random_parameters(module):
  """Parameters, flat, that keep the size of what goes through the layers."""
  noise = np.random.default_rng(0)
  return {
    path: noise.standard_normal(shape, np.float32)
    * (0.2 if len(shape) < 2 else np.prod(shape[:-1]) ** -0.5)
    for path, shape in parameter_shapes(module).items()
  }


def twin_with(model, fields, params):
  """A twin with flat parameters (or gradients) of its Flax module."""
  twin = TWINS[model](SHAPE, **fields)
  params = as_layers_of_twins(params)
  for name in dict.fromkeys(path[0] for path in params):
    if (name,) in params:
      getattr(twin, name).data.copy_(to_torch(params[name,]))
    else:
      part = twin.get_submodule(re.sub(r'_(\d+)$', r'.\1', name))
      fill(part, {path: v for path, v in params.items() if path[0] == name})
  if isinstance(getattr(twin, 'encoder', None), ConvEncoder):
    mirror_columns(twin.encoder.last)
  return twin


def as_layers_of_twins(params):
  """Cells and questions with the layers that those of twins have."""
  layers = {}
  for path, value in params.items():
    owner = path[:-2]
    depth = len(owner)
    siblings = {x[depth] for x in params if x[:depth] == owner}
    if 'gates' in siblings:
      layers |= of_lstm(owner, params)
    elif 'inputs' in siblings:
      layers |= of_gru(owner, params)
    elif 'about' in siblings:
      layers |= of_question(owner, params)
    else:
      layers[path] = value
  return layers


def of_lstm(owner, params):
  """What its gates read of the input, and of the state."""
  kernel, bias = (params[*owner, 'gates', kind] for kind in ('kernel', 'bias'))
  size = len(bias) // 4
  return {
    (*owner, 'inputs', 'kernel'): kernel[:-size],
    (*owner, 'state', 'kernel'): kernel[-size:],
    (*owner, 'state', 'bias'): bias,
  }


def of_gru(owner, params):
  """Its biases are those of the input and of the new state."""
  inputs, state = (params[*owner, x, 'kernel'] for x in ('inputs', 'state'))
  size = len(state)
  return {
    (*owner, 'bias'): params[*owner, 'bias'][3 * size :],  # of its own
    (*owner, 'inputs', 'kernel'): inputs,
    (*owner, 'inputs', 'bias'): params[*owner, 'bias'][: 3 * size],
    (*owner, 'state', 'kernel'): state,
  }


def of_question(owner, params):
  """One layer, of what is asked about and the state joined."""
  kernels = [params[*owner, x, 'kernel'] for x in ('about', 'state')]
  return {
    (*owner, 'kernel'): np.concatenate(kernels),
    (*owner, 'bias'): params[*owner, 'about', 'bias'],
  }


def fill(part, params):
  """Copies flat parameters into the layers of a part of a twin, in order."""
  layers = [m for m in part.modules() if list(m.parameters(recurse=False))]
  paths = dict.fromkeys(path[:-1] for path in params)
  for path, layer in zip(paths, layers, strict=True):
    for kind in ('kernel', 'scale', 'negative_slope', 'bias', 'start'):
      if (*path, kind) in params:
        own = kind in ('bias', 'start')
        target = getattr(layer, kind) if own else layer.weight
        value = to_torch(params[*path, kind])
        mirrored = isinstance(part, ConvEncoder)
        target.data.copy_(rearranged(value, layer, mirrored))


def rearranged(value, layer, mirrored):
  """A parameter of Flax in the layout of a PyTorch layer."""
  if value.ndim == 4 and isinstance(layer, torch.nn.ConvTranspose2d):
    return value.permute(2, 3, 0, 1)
  if value.ndim == 4:
    # The convolutional encoders are mirror images of each other.
    value = value.flip(0, 1) if mirrored else value
    return value.permute(3, 2, 0, 1)
  if value.ndim == 2 and isinstance(layer, torch.nn.ConvTranspose2d):
    return value.unflatten(1, (2, 2, -1)).permute(0, 3, 1, 2)
  # A product pixel by pixel is a convolution of one pixel to the twin.
  return value.T.reshape(layer.weight.shape) if value.ndim == 2 else value


def mirror_columns(layer):
  """Turns the 4x4 pixels that a linear layer reads."""
  pixels = layer.weight.data.unflatten(1, (4, 4, -1))
  layer.weight.data = pixels.flip(1, 2).flatten(1)


def close(got, expected, name=''):
  """Checks an array relative to the largest of its numbers."""
  scale = float(np.abs(np.asarray(expected)).max(initial=1e-2))
  np.testing.assert_allclose(
    got, expected, rtol=1e-4, atol=5e-4 * scale, err_msg=name
  )
