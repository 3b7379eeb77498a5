"""The PyTorch twins of the benchmarks compute what our models compute."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

from gen1shot import zoo
from gen1shot.config import Config
from gen1shot.distributions import DiagGaussian
from gen1shot.models.draw import DRAW
from gen1shot.models.sequential import SequentialGenerativeModel
from gen1shot.nn.canvas import ATTENTION
from gen1shot.objectives import objective

torch = pytest.importorskip('torch', reason='the twins are made of PyTorch')

from peers import (  # noqa: E402
  SHAPE,
  TWINS,
  B,
  T,
  close,
  images,
  parameter_shapes,
  random_parameters,
  to_torch,
  twin_with,
)

from benchmarks import throughput  # noqa: E402
from benchmarks.peers.distributions import Gaussian  # noqa: E402
from benchmarks.peers.step import Step  # noqa: E402

# The mixer's vectors are divided among 16 tokens.
TINY = {
  'width': 8,
  'encoder_depth': 1,
  'decoder_depth': 1,
  'features': 48,
  'hidden': 12,
  'z_dim': 16,
}
OWN = {
  'statistician': {'c_dim': 32, 'layers': 2, 'sample_dropout': False},
  'gmn': {'match_size': 32, 'passes': 3, 'prior_passes': 2, 'layers': 2},
  'vae': {'layers': 2},
  'draw': {'recurrent_steps': 3, 'read_size': 20, 'write_size': 6},
  'sequential': {'recurrent_steps': 3, 'read_size': 20, 'write_size': 6},
}
DENSE = {'nets': 'dense'}
MIXER = {'nets': 'mixer'}
RESIDUAL = {'nets': 'residual', 'features': 288}
DYNAMIC = RESIDUAL | {'decoder': 'dynamic'}

ELBO = Config(objective='elbo', kl_warmup=4)
DREG_1 = Config(num_samples=1)
DREG_3 = Config(num_samples=3)
PLAIN_3 = Config(num_samples=3, gradient='plain')


def tiny_fields(model, **fields):
  known = zoo.module_fields(model, 'small')
  tiny = {field: value for field, value in TINY.items() if field in known}
  return known | tiny | OWN[model] | fields


@pytest.fixture
def fixed_noise(monkeypatch):
  """Gives both libraries the same samples, the K of them near each other."""

  def sample(self, key, shape=()):
    noise = 0.5 - 0.1 * jnp.arange(*(shape or (1,)))
    noise = noise.reshape(*shape, *(1 for _ in self.mean.shape))
    return self.mean + jnp.exp(0.5 * self.logvar) * noise

  def twin_sample(self, *shape):
    noise = 0.5 - 0.1 * torch.arange(*(shape or (1,)))
    noise = noise.view(*shape, *(1 for _ in self.mean.shape))
    return self.mean + torch.exp(0.5 * self.logvar) * noise

  def noise_of_steps(self, *lead):
    return jnp.full((self.recurrent_steps, *lead, self.z_dim), 0.5)

  monkeypatch.setattr(DiagGaussian, 'sample', sample)
  for model in (DRAW, SequentialGenerativeModel):
    monkeypatch.setattr(model, '_noise', noise_of_steps)
  monkeypatch.setattr(Gaussian, 'sample', twin_sample)


@pytest.mark.parametrize(
  ('model', 'preset'),
  [
    (model, preset)
    for model in TWINS
    for preset in zoo.ZOO[model].presets
    # Twins are of binary images.
    if zoo.module_fields(model, preset)['observation'] == 'bernoulli'
  ],
)
def test_presets_have_as_many_parameters(model, preset):
  ours = parameter_shapes(zoo.build(model, preset, SHAPE))
  with torch.device('meta'):
    twin = TWINS[model](SHAPE, **zoo.module_fields(model, preset))
  assert sum(p.numel() for p in twin.parameters()) == sum(
    int(np.prod(shape)) for shape in ours.values()
  )


@pytest.mark.parametrize('nets', ['conv', 'dense', 'mixer'])
@torch.no_grad()
def test_pieces_of_the_statistician_agree(nets):
  fields = tiny_fields('statistician', nets=nets)
  module = zoo.build('statistician', 'small', SHAPE, **fields)
  params = random_parameters(module)
  twin = twin_with('statistician', fields, params)
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
  h = twin.encoder(to_torch(images()))
  close(h, features)
  _, q_c = twin.prefix_contexts(h)
  close(q_c.mean[:, -1], mean)
  close(q_c.logvar[:, -1], logvar)
  close(twin.decode(tuple(map(to_torch, (c, *zs)))), logits)


CASES = {
  **{
    f'statistician-{nets}-{name}': ('statistician', {'nets': nets}, config)
    for nets in ('dense', 'mixer')
    for name, config in {
      'elbo': ELBO,
      'dreg-1': DREG_1,
      'dreg-3': DREG_3,
      'plain-3': PLAIN_3,
    }.items()
  },
  **{
    f'statistician-before-{name}': (
      'statistician',
      DENSE | {'proposal': 'before'},
      config,
    )
    for name, config in {'dreg-3': DREG_3, 'plain-3': PLAIN_3}.items()
  },
  'vae-elbo': ('vae', MIXER, ELBO),
  'vae-dreg-1': ('vae', DENSE, DREG_1),
  'vae-dreg-3': ('vae', DENSE, DREG_3),
  'vae-plain-3': ('vae', DENSE, PLAIN_3),
  'vae-residual': ('vae', RESIDUAL | {'layers': 1}, DREG_3),
  'gmn-mixer': ('gmn', MIXER, DREG_3),
  'gmn-elbo': ('gmn', DENSE | {'pseudo_inputs': 2}, ELBO),
  'gmn-dreg-1': ('gmn', DENSE | {'pseudo_inputs': 0}, DREG_1),
  'gmn-plain-3': ('gmn', DENSE | {'use_pseudo_inputs': False}, PLAIN_3),
  'gmn-dot': ('gmn', DENSE | {'matching': 'dot'}, DREG_3),
  'gmn-average': ('gmn', DENSE | {'matching': 'average'}, DREG_3),
  'gmn-residual': ('gmn', RESIDUAL | {'layers': 1}, DREG_3),
  'gmn-dynamic': ('gmn', DYNAMIC, DREG_3),
  'gmn-average-dynamic': ('gmn', DYNAMIC | {'matching': 'average'}, PLAIN_3),
  **{
    f'{model}-{kind}': (model, {'attention': kind}, ELBO)
    for model in ('draw', 'sequential')
    for kind in ATTENTION
  },
  'sequential-gated': ('sequential', {'canvas': 'gated'}, ELBO),
  'sequential-learned': ('sequential', {'prior': 'learned'}, ELBO),
}


@pytest.mark.parametrize(
  ('model', 'fields', 'config'), CASES.values(), ids=CASES
)
@pytest.mark.usefixtures('fixed_noise')
def test_objectives_and_gradients_agree(model, fields, config):
  fields = tiny_fields(model, **fields)
  module = zoo.build(model, 'small', SHAPE, **fields)
  params = random_parameters(module)
  twin = twin_with(model, fields, params)
  x = images()

  @jax.jit
  @jax.value_and_grad
  def ours(params):
    key, step = jax.random.key(0), jnp.int32(0)
    return -jax.vmap(
      lambda x: objective(module, config, params, x, key, step)[0]
    )(x).mean()

  value, gradients = ours(unflatten_dict(params))
  loss = Step(config, twin).loss(to_torch(x))
  loss.backward()
  close(loss.detach(), value)
  gradients = flatten_dict(gradients)
  expected = twin_with(
    model, fields, {path: gradients[path] for path in params}
  )
  for (name, p), q in zip(
    twin.named_parameters(), expected.parameters(), strict=True
  ):
    gradient = torch.zeros_like(p) if p.grad is None else p.grad
    close(gradient, q.detach(), name)


@pytest.mark.parametrize('model', TWINS)
def test_a_step_learns(model):
  twins = importlib.import_module(f'benchmarks.peers.{model}')
  recurrent = 'recurrent_steps' in OWN[model]
  fields = tiny_fields(model, **({} if recurrent else DENSE))
  config = Config(objective='elbo' if recurrent else 'iwae', learning_rate=1e-2)
  step = twins.make_step(config, fields, SHAPE)
  x = to_torch(images())
  losses = [step(x) for _ in range(20)]
  assert losses[-1] < losses[0]


def test_what_is_compiled_of_a_twin_is_its_bound(monkeypatch):
  calls = []

  def compiled(bound):
    def call(*args):
      calls.append(args)
      return bound(*args)

    return call

  monkeypatch.setattr(torch, 'compile', compiled)
  fields = tiny_fields('vae', **DENSE)
  config = Config(model='vae', preset='small', fields=fields)
  twin = TWINS['vae'](SHAPE, **fields)
  run = throughput.twin_of(
    importlib.import_module('benchmarks.peers.vae'),
    config,
    sum(p.numel() for p in twin.parameters()),
    [np.array(images())],
    compiles=True,
  )
  assert [run(), run()] == [1, 1]
  assert [tuple(x.shape) for x, _ in calls] == [(B, T, *SHAPE)] * 2
