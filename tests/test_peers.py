"""The PyTorch twins of the benchmarks compute what our models compute."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

from gen1shot import zoo
from gen1shot.config import Config
from gen1shot.distributions import DiagGaussian
from gen1shot.objectives import objective

torch = pytest.importorskip('torch', reason='the twins are made of PyTorch')

from benchmarks.peers import statistician as peer  # noqa: E402

SHAPE = (28, 28, 1)
B, T = 2, 3
TINY = {
  'width': 8,
  'encoder_depth': 1,
  'decoder_depth': 1,
  'features': 48,  # the mixer's vectors are divided among 16 tokens
  'hidden': 12,
  'c_dim': 32,
  'z_dim': 16,
  'layers': 2,
  'sample_dropout': False,
}


@pytest.fixture
def nets():
  return 'dense'


@pytest.fixture
def fields(nets):
  """The fields of a tiny statistician."""
  known = zoo.module_fields('statistician', 'small')
  return known | TINY | {'nets': nets}


@pytest.fixture
def module(fields):
  return zoo.build('statistician', 'small', SHAPE, **fields)


@pytest.fixture
def params(module):
  """Parameters, flat, in the order in which the modules are called."""
  order = []

  def init():
    keys = dict.fromkeys(('params', 'sample'), jax.random.key(0))
    tree = module.init(keys, images()[0], method='bound')['params']
    order.extend(flatten_dict(tree))  # what leaves a traced function is sorted
    return tree

  shapes = flatten_dict(jax.eval_shape(init))
  noise = np.random.default_rng(0)
  return {
    path: 0.2 * noise.standard_normal(shapes[path].shape, np.float32)
    for path in order
  }


@pytest.fixture
def twin(fields, params):
  return twin_with(fields, params)


@pytest.fixture
def fixed_noise(monkeypatch):
  """Makes every sample of both libraries the same function of its index."""

  def sample(self, key, shape=()):
    noise = 0.5 - jnp.arange(*(shape or (1,)))
    noise = noise.reshape(*shape, *(1 for _ in self.mean.shape))
    return self.mean + jnp.exp(0.5 * self.logvar) * noise

  def twin_sample(self, *shape):
    noise = 0.5 - torch.arange(*(shape or (1,)))
    noise = noise.view(*shape, *(1 for _ in self.mean.shape))
    return self.mean + torch.exp(0.5 * self.logvar) * noise

  monkeypatch.setattr(DiagGaussian, 'sample', sample)
  monkeypatch.setattr(peer.Gaussian, 'sample', twin_sample)


def images():
  """Episodes [B, T, *SHAPE] of images that half a turn does not change."""
  bits = jax.random.bernoulli(jax.random.key(2), 0.2, (B, T, *SHAPE))
  return (bits | bits[:, :, ::-1, ::-1]).astype(jnp.float32)


def to_torch(array):
  return torch.from_numpy(np.array(array))


def twin_with(fields, params):
  """A twin with parameters (or gradients) of the Flax module."""
  twin = peer.Statistician(SHAPE, **fields)
  parts = {
    'encoder': twin.encoder,
    'decoder': twin.decoder,
    'statistic': twin.statistic,
    **{f'priors_{l}': part for l, part in enumerate(twin.priors)},
    **{f'posteriors_{l}': part for l, part in enumerate(twin.posteriors)},
  }
  for name, part in parts.items():
    layers = [m for m in part.modules() if list(m.parameters(recurse=False))]
    values = {path: v for path, v in params.items() if path[0] == name}
    paths = dict.fromkeys(path[:-1] for path in values)
    for path, layer in zip(paths, layers, strict=True):
      for kind in ('kernel', 'scale', 'bias'):
        if (*path, kind) in values:
          target = layer.bias if kind == 'bias' else layer.weight
          value = to_torch(values[*path, kind])
          target.data.copy_(rearranged(value, layer, name == 'encoder'))
  if isinstance(twin.encoder, peer.ConvEncoder):
    mirror_columns(twin.encoder.last)
  return twin


def rearranged(value, layer, mirrored):
  """A parameter of Flax in the layout of a PyTorch layer."""
  if isinstance(layer, torch.nn.Conv2d):
    # The encoders are mirror images of each other.
    value = value.flip(0, 1) if mirrored else value
    return value.permute(3, 2, 0, 1)
  if isinstance(layer, torch.nn.ConvTranspose2d):
    return value.unflatten(1, (2, 2, -1)).permute(0, 3, 1, 2)
  return value.T if value.ndim == 2 else value


def mirror_columns(layer):
  """Turns the 4x4 pixels that a linear layer reads."""
  pixels = layer.weight.data.unflatten(1, (4, 4, -1))
  layer.weight.data = pixels.flip(1, 2).flatten(1)


@pytest.mark.parametrize('preset', zoo.ZOO['statistician'].presets)
def test_presets_have_as_many_parameters(preset):
  module = zoo.build('statistician', preset, SHAPE)
  keys = dict.fromkeys(('params', 'sample', 'dropout'), jax.random.key(0))
  ours = jax.eval_shape(
    lambda: module.init(keys, jnp.zeros((T, *SHAPE)), method='bound')
  )
  with torch.device('meta'):
    fields = zoo.module_fields('statistician', preset)
    twin = peer.Statistician(SHAPE, **fields)
  assert sum(p.numel() for p in twin.parameters()) == sum(
    leaf.size for leaf in jax.tree.leaves(ours)
  )


@pytest.mark.parametrize('nets', peer.NETS)
@torch.no_grad()
def test_pieces_agree(module, fields, params, twin):
  noise = np.random.default_rng(1)
  z_dim, c_dim = fields['z_dim'], fields['c_dim']
  *zs, c = (
    noise.standard_normal((B, T, size), np.float32)
    for size in (z_dim, z_dim, c_dim)
  )

  @jax.jit
  @jax.vmap
  def ours(x, *latents):
    model = module.bind({'params': unflatten_dict(params)})
    h = model.encoder(x)
    q_c = model.embed(x)
    return h, q_c.mean, q_c.logvar, model.decoder(*latents)

  features, mean, logvar, logits = ours(images(), *zs, c)
  h = twin.encode(to_torch(images()))
  close(h, features)
  _, q_c = twin.prefix_contexts(h)
  close(q_c.mean[:, -1], mean)
  close(q_c.logvar[:, -1], logvar)
  close(twin.decode(tuple(map(to_torch, (c, *zs)))), logits)


@pytest.mark.parametrize(
  'config',
  [
    Config(objective='elbo', kl_warmup=4),
    Config(num_samples=1),
    Config(num_samples=3),
    Config(num_samples=3, gradient='plain'),
  ],
  ids=['elbo', 'dreg-1', 'dreg-3', 'plain-3'],
)
@pytest.mark.parametrize('nets', ['dense', 'mixer'])
@pytest.mark.usefixtures('fixed_noise')
def test_objectives_and_gradients_agree(config, fields, module, params, twin):
  x = images()

  @jax.jit
  @jax.value_and_grad
  def ours(params):
    key, step = jax.random.key(0), jnp.int32(0)
    return -jax.vmap(
      lambda x: objective(module, config, params, x, key, step)[0]
    )(x).mean()

  value, gradients = ours(unflatten_dict(params))
  loss = peer.Step(config, twin).loss(to_torch(x))
  loss.backward()
  close(loss.detach(), value)
  gradients = flatten_dict(gradients)
  expected = twin_with(fields, {path: gradients[path] for path in params})
  for (name, p), q in zip(
    twin.named_parameters(), expected.parameters(), strict=True
  ):
    close(p.grad, q.detach(), name)


def test_a_step_learns(fields):
  step = peer.make_step(Config(learning_rate=1e-2), fields, SHAPE)
  x = to_torch(images())
  losses = [step(x) for _ in range(20)]
  assert losses[-1] < losses[0]


def close(got, expected, name=''):
  scale = max(1.0, float(np.abs(np.asarray(expected)).max()))
  np.testing.assert_allclose(
    got, expected, rtol=1e-4, atol=1e-4 * scale, err_msg=name
  )
