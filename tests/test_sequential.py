"""The sequential generative model: what it is given, quadrature, steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from questions import influence, streams
from recurrent import assert_estimates, lstm, quadrature

from gen1shot.errors import InputError
from gen1shot.models.sequential import SequentialGenerativeModel
from gen1shot.nn import attention

SHAPE = (6, 6, 1)
T = 4
FIELDS = {
  'hidden': 5,
  'z_dim': 2,
  'read_size': 3,
  'write_size': 3,
  'canvas_channels': 2,
  'recurrent_steps': 3,
}
X = jax.random.bernoulli(jax.random.key(0), 0.4, (T, *SHAPE)) * 1.0


def make(size=0.5, **fields):
  """A module and parameters of about that size."""
  module = SequentialGenerativeModel(SHAPE, **(FIELDS | fields))
  shapes = jax.eval_shape(
    lambda: module.init(streams(jax.random.key(0)), X, method='bound')
  )
  rng = np.random.default_rng(1)
  return module, jax.tree.map(
    lambda leaf: jnp.asarray(size * rng.normal(size=leaf.shape), 'f4'), shapes
  )


def ask(module, params, method, *args, seed=0, **kwargs):
  rngs = streams(jax.random.key(seed))
  return module.apply(params, *args, method=method, rngs=rngs, **kwargs)


def linear(p, v):
  return v @ p['kernel'] + p['bias']


def convolved(p, image):
  return (
    jax.lax.conv_general_dilated(
      image,
      p['kernel'],
      (1, 1),
      'SAME',
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )
    + p['bias']
  )


@pytest.mark.parametrize(
  ('canvas_kind', 'prior'),
  [('additive', 'standard'), ('additive', 'learned'), ('gated', 'standard')],
)
def test_scan_is_a_loop_over_steps(canvas_kind, prior):
  """The equations once more: reads of each example, then their average."""
  module, params = make(canvas=canvas_kind, prior=prior)
  p = params['params']
  noise = jax.random.normal(jax.random.key(3), (3, T, 2))

  def infer(module, x, noise):
    painting, steps = module._infer(x, module._prefixes(x), noise)
    return module._likelihood(painting.canvas).logits, steps

  logits, steps = module.apply(params, X, noise, method=infer)

  def windows(layer, h):
    told = 1.5 * jnp.tanh(linear(layer, h) / 1.5)
    return attention.transformer(told, 3, 6, 6)

  for t in range(T):
    state = (jnp.zeros((1, 5)),) * 2
    canvas = p['blank'][None]
    divergence = 0.0
    for s in range(3):
      h = state[1]
      reading, _ = windows(p['example_reader']['Dense_0'], h)
      reads = [reading.read(X[i][None]) for i in range(t)]
      v = sum(reads) / t if t else jnp.zeros((1, 3, 3, 1))
      v = jnp.concatenate([v.reshape(1, -1), jnp.full((1, 1), t > 0), h], -1)
      v = jax.nn.relu(linear(p['look'], v))
      error = X[t] - jax.nn.sigmoid(linear(p['pixels'], canvas))
      reading, _ = windows(p['object_reader']['Dense_0'], h)
      both = jnp.concatenate([X[t][None], error], -1)
      seen = reading.read(both).reshape(1, -1)
      summary = linear(p['summary'], jnp.concatenate([seen, v, h], -1))
      told = linear(p['posterior'], jax.nn.relu(summary))
      mean, logvar = jnp.split(told, 2, -1)
      logvar = 7 * jnp.tanh(logvar / 7)
      z = mean + jnp.exp(logvar / 2) * noise[s, t]
      other = jnp.zeros((1, 4))  # mean and log variance of the prior
      if prior == 'learned':
        other = linear(p['expected'], jnp.concatenate([v, h], -1))
      away, wide = jnp.split(other, 2, -1)
      wide = 7 * jnp.tanh(wide / 7)
      squares = jnp.exp(logvar) + (mean - away) ** 2
      divergence += 0.5 * (squares * jnp.exp(-wide) - 1 + wide - logvar).sum()
      state = lstm(p['transition'], state, jnp.concatenate([z, v], -1))
      _, writing = windows(p['writer']['Dense_1'], state[1])
      patch = linear(p['writer']['Dense_0'], state[1])
      drawn = writing.write(patch.reshape(1, 3, 3, 2))
      if canvas_kind == 'additive':
        canvas += drawn
        continue
      update = p['update']
      gates = jax.nn.sigmoid(
        convolved(update['Conv_0'], jnp.concatenate([canvas, drawn], -1))
      )
      keep, reset = gates[..., :2], gates[..., 2:]
      new = jnp.tanh(
        convolved(
          update['Conv_1'], jnp.concatenate([reset * canvas, drawn], -1)
        )
      )
      canvas = keep * canvas + (1 - keep) * new
    np.testing.assert_allclose(
      logits[t], linear(p['pixels'], canvas)[0], rtol=1e-3, atol=1e-4
    )
    np.testing.assert_allclose(steps.kl.sum(0)[t], divergence, rtol=1e-4)


@pytest.mark.parametrize(
  ('given', 'prior'), [(0, 'standard'), (2, 'standard'), (2, 'learned')]
)
def test_log_weights_converge_to_the_quadrature(given, prior):
  """One latent a step, two steps: log p(x_t | x_<t) integrates over a plane."""
  module, params = make(size=0.3, z_dim=1, recurrent_steps=2, prior=prior)
  x = X[: given + 1]

  def log_p(noise):  # [S, 1]
    def paint(module):
      shown = jax.tree.map(lambda leaf: leaf[-1], module._prefixes(x))
      painting = module._begin(())
      for value in noise:
        _, h = painting.state
        v = module._look(shown, h)
        z = module._prior(v, h).transform(value)
        painting, _ = module._paint(painting, z, v)
      return module._log_likelihood(x[-1], painting)

    return module.apply(params, method=paint)

  exact = quadrature(log_p, 2)
  weigh = jax.jit(
    lambda key: module.apply(
      params, x, 40_000, method='log_weights', rngs=streams(key)
    )
  )
  weights = weigh(jax.random.key(4))[:, -1]
  assert_estimates(weights, exact)
  assert weights.mean() < exact


def test_position_t_depends_on_x_up_to_t():
  module, params = make()

  def weights(x):
    return ask(module, params, 'log_weights', x, 3)

  expected = np.tril(np.ones((T, T), bool))
  assert (influence(weights, X) == expected).all()


def test_a_set_begins_anew_where_it_is_told():
  module, params = make()
  starts = jnp.array([True, False, True, False])

  def weights(x):
    return ask(module, params, 'log_weights', x, 3, starts)

  pair = np.tril(np.ones((2, 2), bool))
  expected = np.kron(np.eye(2, dtype=bool), pair)
  assert (influence(weights, X) == expected).all()


def test_examples_have_no_order():
  module, params = make()
  ahead = ask(module, params, 'predict', X[:3], 5)
  behind = ask(module, params, 'predict', X[:3][::-1], 5)
  np.testing.assert_allclose(ahead, behind, rtol=1e-4, atol=1e-6)


def test_masked_examples_count_for_nothing():
  module, params = make()
  mask = jnp.array([True, False, False, True])
  masked = ask(module, params, 'predict', X, 5, mask)
  kept = ask(module, params, 'predict', X[jnp.array([0, 3])], 5)
  np.testing.assert_allclose(masked, kept, rtol=1e-4, atol=1e-6)
  nothing = ask(module, params, 'predict', X, 5, jnp.zeros(T, bool))
  empty = ask(module, params, 'predict', X[:0], 5)
  np.testing.assert_allclose(nothing, empty, rtol=1e-4, atol=1e-6)
  assert abs(np.asarray(kept - empty)).max() > 1e-3


def test_the_last_stroke_is_the_sample():
  module, params = make()
  strokes = ask(module, params, 'paint', X[:2], 5)
  assert strokes.mean.shape == (3, 5, *SHAPE)
  assert strokes.box.shape == (3, 5, 4)
  drawn = ask(module, params, 'predict', X[:2], 5)
  np.testing.assert_allclose(strokes.mean[-1], drawn, rtol=1e-5)
  assert abs(strokes.mean[0] - drawn).max() > 1e-3


def test_masked_objects_leave_the_bound():
  module, params = make()
  mask = jnp.array([True, False, True, True])
  bound = ask(module, params, 'bound', X, mask)
  other = ask(module, params, 'bound', X.at[1].set(1 - X[1]), mask)
  jax.tree.map(np.testing.assert_array_equal, bound, other)
  assert bound.log_likelihood[1] == bound.kl_local[1] == 0


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    ({'canvas': 'gates'}, 'canvas must be one of additive, gated'),
    ({'prior': 'normal'}, 'prior must be one of learned, standard'),
    ({'canvas_channels': 0}, 'canvas_channels must be >= 1; got 0'),
    ({'attention': 'dense'}, 'attention must be one of'),
  ],
)
def test_fields_without_meaning_are_refused(fields, message):
  with pytest.raises(InputError, match=message):
    make(**fields)


def test_objects_of_another_shape_are_refused():
  module = SequentialGenerativeModel((9,))
  with pytest.raises(InputError, match=r'images \[H, W, C\]; got \(9,\)'):
    module.init(streams(jax.random.key(0)), X, method='bound')
