"""DRAW: quadrature, a second computation of its steps, and memory."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from questions import streams
from recurrent import assert_estimates, lstm, quadrature

from gen1shot.errors import InputError
from gen1shot.models.draw import DRAW
from gen1shot.nn import attention, canvas

SHAPE = (6, 6, 1)
FIELDS = {
  'hidden': 5,
  'z_dim': 2,
  'read_size': 3,
  'write_size': 3,
  'recurrent_steps': 3,
}
X = jax.random.bernoulli(jax.random.key(0), 0.4, (2, *SHAPE)) * 1.0


def make(scale=0.5, **fields):
  """A module and parameters of some size."""
  module = DRAW(SHAPE, **(FIELDS | fields))
  shapes = jax.eval_shape(
    lambda: module.init(streams(jax.random.key(0)), X, method='bound')
  )
  rng = np.random.default_rng(1)
  return module, jax.tree.map(
    lambda leaf: jnp.asarray(scale * rng.normal(size=leaf.shape), 'f4'), shapes
  )


@pytest.mark.parametrize(
  'kind', ['none', 'filterbank', 'transformer', 'affine']
)
def test_scan_is_a_loop_over_steps(kind):
  """The equations of the paper once more, step by step, from the parameters."""
  module, params = make(attention=kind)
  p = params['params']
  noise = jax.random.normal(jax.random.key(3), (3, 2, 2))
  painting, steps = module.apply(params, X, noise, method='_infer')

  def linear(name, v):
    return v @ name['kernel'] + name['bias']

  def windows(layer, h):
    told = 1.5 * jnp.tanh(linear(layer, h) / 1.5)
    if kind == 'filterbank':
      return (attention.filterbank(told, 3, 6, 6),) * 2
    return getattr(attention, kind)(told, 3, 6, 6)

  zeros = jnp.zeros((2, 5))
  encoder = decoder = (zeros, zeros)
  canvas = jnp.broadcast_to(p['blank'], X.shape)
  divergence = 0.0
  for s in range(3):
    both = jnp.concatenate([X, X - jax.nn.sigmoid(canvas)], -1)
    h = decoder[1]
    if kind != 'none':
      both = windows(p['reader']['Dense_0'], h)[0].read(both)
    seen = jnp.concatenate([both.reshape(2, -1), h], -1)
    encoder = lstm(p['encoder'], encoder, seen)
    mean, logvar = jnp.split(linear(p['posterior'], encoder[1]), 2, -1)
    logvar = 7 * jnp.tanh(logvar / 7)
    z = mean + jnp.exp(logvar / 2) * noise[s]
    divergence += 0.5 * (jnp.exp(logvar) + mean**2 - 1 - logvar).sum(-1)
    decoder = lstm(p['decoder'], decoder, z)
    patch = linear(p['writer']['Dense_0'], decoder[1])
    if kind == 'none':
      canvas += patch.reshape(X.shape)
    else:
      window = windows(p['writer']['Dense_1'], decoder[1])[1]
      canvas += window.write(patch.reshape(2, 3, 3, 1))
  np.testing.assert_allclose(painting.canvas, canvas, rtol=1e-4, atol=1e-4)
  np.testing.assert_allclose(steps.kl.sum(0), divergence, rtol=1e-4)


@pytest.mark.parametrize('recurrent_steps', [1, 2])
def test_log_weights_converge_to_the_quadrature(recurrent_steps):
  """One latent a step: log p(x) is an integral over a line or a plane."""
  module, params = make(
    attention='none', z_dim=1, recurrent_steps=recurrent_steps
  )

  def log_p(z):  # [S, 1]
    def paint(module):
      painting = module._begin(())
      for value in z:
        painting, _ = module._paint(painting, value)
      return module._log_likelihood(X[0], painting)

    return module.apply(params, method=paint)

  exact = quadrature(log_p, recurrent_steps)
  weigh = jax.jit(
    lambda key: module.apply(
      params, X[:1], 40_000, method='log_weights', rngs=streams(key)
    )
  )
  weights = weigh(jax.random.key(4))[:, 0]
  assert_estimates(weights, exact)
  # and a single sample is a bound
  assert weights.mean() < exact


def test_without_a_use_of_latents_the_bound_is_the_likelihood():
  """No attention, writes of 0, q = p: Bernoulli pixels, in closed form."""
  module, params = make(attention='none', recurrent_steps=1)
  p = params['params']
  for layer in (p['writer']['Dense_0'], p['posterior']):
    for kind in layer:
      layer[kind] = jnp.zeros_like(layer[kind])
  bound = module.apply(
    params, X, method='bound', rngs=streams(jax.random.key(0))
  )
  ink = jax.nn.sigmoid(p['blank'])
  expected = jnp.log(jnp.where(X > 0, ink, 1 - ink)).sum((1, 2, 3))
  np.testing.assert_allclose(bound.log_likelihood, expected, rtol=1e-5)
  np.testing.assert_allclose(bound.kl_local, 0.0, atol=1e-6)


def test_computing_steps_twice_changes_no_gradient():
  def gradient(remat):
    module, params = make(remat=remat)

    def loss(params):
      rngs = streams(jax.random.key(0))
      return module.apply(params, X, method='bound', rngs=rngs).elbo()

    return jax.jit(jax.grad(loss))(params)

  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
    gradient(True),
    gradient(False),
  )


def test_rounds_of_a_long_loop_change_no_gradient(monkeypatch):
  module, params = make(recurrent_steps=20)

  def loss(params):
    rngs = streams(jax.random.key(0))
    return module.apply(params, X, method='bound', rngs=rngs).elbo()

  def gradient():
    traced = jax.jit(lambda params: jax.grad(loss)(params)).trace(params)
    rounds = 'unroll=8' in str(traced.jaxpr)
    return rounds, traced.lower().compile()(params)

  in_rounds, expected = gradient()
  assert not in_rounds
  monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
  in_rounds, found = gradient()
  assert in_rounds
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
    found,
    expected,
  )


def test_computing_steps_twice_takes_a_quarter_of_the_memory(monkeypatch):
  """Of what a loop takes that keeps all; to keep products takes half of it."""

  def memory(remat):
    module = DRAW((28, 28, 1), recurrent_steps=80, remat=remat)
    x = jnp.zeros((20, 28, 28, 1))
    rngs = streams(jax.random.key(0))
    params = jax.eval_shape(lambda: module.init(rngs, x, method='bound'))

    def loss(params):
      return module.apply(params, x, method='bound', rngs=rngs).elbo()

    compiled = jax.jit(jax.grad(loss)).lower(params).compile()
    return compiled.memory_analysis().temp_size_in_bytes

  again, products = memory(True), memory(False)
  everything = jax.checkpoint_policies.everything_saveable
  monkeypatch.setattr(canvas, 'saveable', everything)
  everything = memory(False)
  assert again < everything / 4
  assert products < 0.6 * everything


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    ({'attention': 'filterbanks'}, 'did you mean .filterbank.'),
    ({'recurrent_steps': 0}, 'recurrent_steps must be >= 1; got 0'),
    ({'read_size': 1}, 'at least 2 x 2 pixels; got 1'),
    ({'observation': 'binary'}, 'observation must be one of'),
  ],
)
def test_fields_without_meaning_are_refused(fields, message):
  with pytest.raises(InputError, match=message):
    make(**fields)


def test_objects_of_another_shape_are_refused():
  with pytest.raises(InputError, match=r'images \[H, W, C\]; got \(9,\)'):
    DRAW((9,)).init(streams(jax.random.key(0)), X, method='bound')


def test_every_object_is_painted_by_itself():
  module, params = make()
  noise = jax.random.normal(jax.random.key(3), (3, 2, 2))
  together, _ = module.apply(params, X, noise, method='_infer')
  for t, noises in itertools.zip_longest(
    range(2), (noise[:, :1], noise[:, 1:])
  ):
    alone, _ = module.apply(params, X[t : t + 1], noises, method='_infer')
    np.testing.assert_allclose(
      together.canvas[t], alone.canvas[0], rtol=1e-4, atol=1e-5
    )
