"""The neural language model: loops, quadrature, masks, and texts."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from flax import linen as nn
from odds import P_VALUE, SIGMAS
from questions import streams
from recurrent import assert_estimates
from tiny_words import Tiny, assert_same_mean

from gen1shot.errors import InputError
from gen1shot.models.neural_lm import NeuralLM

V = 3
X = np.array([1, 2, 2, 0])
# The same words and three that do not count, at the start, inside, at the end.
HOLES = np.array([0, 1, 2, 1, 2, 0, 1])
MASK = np.array([0, 1, 1, 0, 1, 1, 0], bool)
K = 10_000


@pytest.fixture(scope='module', params=['gru', 'lstm'])
def lm(request):
  return make(request.param)


@pytest.fixture(scope='module', params=['gru', 'lstm'])
def line(request):
  """With a latent on a line; its integrals are sums."""
  return make(request.param, z_dim=1)


def make(cell, **fields):
  """A posterior not much narrower than the prior, but not near it.

  Otherwise the weights, which are of finite mean, would have no variance.
  """
  lm = Tiny(f'lm-{cell}', vocabulary=V, **fields)
  p = lm.params['posterior']
  p['kernel'] *= 0.5
  p['bias'] *= 0.2
  lm.params['start']['kernel'] *= 3
  return lm


# --- a second computation: a loop over the cells of the library


class Loop:
  """The equations once more, word by word, from the parameters."""

  def __init__(self, lm):
    self.lstm = lm.module.cell == 'lstm'
    self.p = lm.params

  def linear(self, name, v):
    return v @ self.p[name]['kernel'] + self.p[name]['bias']

  def step(self, name, state, v):
    cell = nn.OptimizedLSTMCell if self.lstm else nn.GRUCell
    size = (state[0] if self.lstm else state).shape[-1]
    return cell(size).apply({'params': self.p[name]}, state, v)[0]

  def output(self, state):
    return state[1] if self.lstm else state

  def both(self, h):
    return (h, h) if self.lstm else h

  def posterior(self, x):
    """Mean and standard deviation of q(z | x), [D] each."""
    if not len(x):
      zeros = np.zeros(self.p['posterior']['bias'].size // 2)
      return zeros, zeros + 1
    size = self.p['posterior']['kernel'].shape[0]
    state = self.both(jnp.zeros(size))
    for word in x:
      state = self.step('reader', state, self.p['words']['embedding'][word])
    told = self.linear('posterior', self.output(state))
    mean, logvar = jnp.split(told, 2)
    return mean, jnp.exp(7 * jnp.tanh(logvar / 7) / 2)

  def begin(self, z):
    return self.both(jnp.tanh(self.linear('start', z)))

  def write(self, state, word, z):
    """The state after a word: z [S, D]."""
    v = self.p['words']['embedding'][word]
    v = jnp.broadcast_to(v, (len(z), v.shape[-1]))
    return self.step('writer', state, jnp.concatenate([v, z], -1))

  def log_p(self, state):
    """Of every word, [S, V]."""
    said = self.linear('said', self.output(state))
    logits = said @ self.p['words']['embedding'].T + self.p['frequency']
    return jax.nn.log_softmax(logits)

  def read(self, x, z):
    """log p(x_t | x_<t, z) [S, T], and the state after all words."""
    z = jnp.asarray(z, jnp.float32)
    state, found = self.begin(z), []
    for word in x:
      found.append(self.log_p(state)[:, word])
      state = self.write(state, word, z)
    return np.array(found).T.reshape(len(z), len(x)), state


NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(40)


def grid(mean, std):
  """Points z [S, 1] of a rule for N(mean, std^2), whose weights are WEIGHTS."""
  return (np.asarray(mean) + np.asarray(std) * NODES)[:, None]


def integral(p):
  """Of p [S, ...] at the points of `grid`."""
  return np.tensordot(WEIGHTS / WEIGHTS.sum(), np.exp(p), 1)


def log_p_of(lm, z, texts):
  """The module's log p(x_t | x_<t, z): z [S, D], texts [N, T] -> [N, S, T]."""

  def log_p(module, x):
    h = module._states(z, module.words(x), None)
    return module._log_prob(h.swapaxes(0, 1), x)

  def one(x):
    return lm.module.apply({'params': lm.params}, x, method=log_p)

  return jax.jit(jax.vmap(one))(texts)


# --- the scan


def test_the_scan_is_a_loop_over_cells(lm):
  z = jax.random.normal(jax.random.key(2), (3, 2))
  found = log_p_of(lm, z, X[None])[0]
  expected, _ = Loop(lm).read(X, z)
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
  q = lm('embed', X)
  mean, std = Loop(lm).posterior(X)
  np.testing.assert_allclose(q.mean, mean, rtol=1e-4, atol=1e-5)
  np.testing.assert_allclose(jnp.exp(q.logvar / 2), std, rtol=1e-4)


def test_probabilities_of_all_texts_sum_to_one(lm):
  texts = jnp.array(list(itertools.product(range(V), repeat=3)))
  z = jax.random.normal(jax.random.key(2), (2, 2))
  p = jnp.exp(log_p_of(lm, z, texts).sum(-1))
  np.testing.assert_allclose(p.sum(0), 1.0, rtol=1e-5)


# --- integrals over z


def log_joint(line, x):
  log_p, _ = Loop(line).read(x, grid(0.0, 1.0))
  return np.log(integral(log_p.sum(-1)))


def test_joint_log_weights_converge_to_the_quadrature(line):
  weights = line('joint_log_weights', X, K)
  assert weights.shape == (K, 1)
  assert_estimates(weights[:, 0], log_joint(line, X))


def test_the_bound_is_the_mean_log_weight_and_below_log_p(line):
  weights = line('joint_log_weights', X, K, key=3)[:, 0]
  assert_same_mean(line.elbos(X), weights, SIGMAS)
  gap = log_joint(line, X) - weights.mean()
  assert gap > SIGMAS * weights.std() / K**0.5


def after(line, x):
  """p(next word | x) = integral of q(z | x) p(word | x, z), [V]."""
  loop = Loop(line)
  _, state = loop.read(x, grid(*loop.posterior(x)))
  return integral(loop.log_p(state))


@pytest.mark.parametrize(('x', 'mask'), [(X, None), (HOLES, MASK)])
def test_log_weights_converge_to_the_quadrature(line, x, mask):
  weights = line('log_weights', x, K, mask)
  assert weights.shape == (K, len(x))
  seen = []
  for t, counts in enumerate(np.ones(len(x), bool) if mask is None else mask):
    if not counts:
      np.testing.assert_array_equal(weights[:, t], 0.0)
      continue
    assert_estimates(weights[:, t], np.log(after(line, seen)[x[t]]))
    seen.append(x[t])


@pytest.mark.parametrize(('x', 'mask'), [(X, None), (HOLES, MASK), ([], None)])
def test_predictions_converge_to_the_quadrature(line, x, mask):
  p = line('predict', x, K, mask)
  np.testing.assert_allclose(p.sum(-1), 1.0, rtol=1e-5)
  error = p.std(0) / K**0.5
  assert (error < 0.01).all()
  expected = after(line, X if len(x) else x)
  assert (abs(p.mean(0) - expected) < SIGMAS * error).all()


# --- causality and masks


def test_later_words_change_no_earlier_log_weight(lm):
  before = lm('log_weights', X, 5)
  for t in range(len(X)):
    changed = X.copy()
    changed[t:] = (X[t:] + 1) % V
    after = lm('log_weights', changed, 5)
    np.testing.assert_allclose(after[:, :t], before[:, :t], rtol=1e-6)
    assert (after[:, t] != before[:, t]).all()


def test_words_that_do_not_count_are_as_if_not_there(lm):
  for method, args in (
    ('joint_log_weights', (5,)),
    ('predict', (5,)),
    ('embed', ()),
  ):
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
      lm(method, HOLES, *args, MASK),
      lm(method, X, *args),
    )
  masked, without = lm('bound', HOLES, MASK), lm('bound', X)
  np.testing.assert_allclose(
    masked.log_likelihood[MASK], without.log_likelihood, rtol=1e-5
  )
  np.testing.assert_array_equal(masked.log_likelihood[~MASK], 0.0)
  assert masked.kl_context == pytest.approx(float(without.kl_context), rel=1e-5)


def test_an_empty_document_costs_nothing(lm):
  nothing = np.zeros(len(HOLES), bool)
  bound = lm('bound', HOLES, nothing)
  assert bound.elbo() == bound.kl_context == 0
  for method in ('log_weights', 'joint_log_weights'):
    weights = lm(method, HOLES, 5, nothing)
    np.testing.assert_array_equal(weights, 0.0)
  for q in (lm('embed', HOLES, nothing), lm('embed', [])):
    np.testing.assert_array_equal(q.mean, [0.0, 0.0])
    np.testing.assert_array_equal(q.logvar, [0.0, 0.0])


def test_no_support_is_legal(lm):
  assert lm('predict', [], 5).shape == (5, V)
  assert lm('compose', [], 5).shape == (5, 0)


# --- texts


def test_decoded_words_are_the_likeliest_after_each_other(lm):
  z = 2 * jax.random.normal(jax.random.key(4), (20, 2))
  found = lm.module.apply({'params': lm.params}, z, 6, method='decode')
  assert found.dtype == jnp.int32
  loop, expected = Loop(lm), []
  state = loop.begin(z)
  for _ in range(6):
    expected.append(loop.log_p(state).argmax(-1))
    state = loop.write(state, expected[-1], z)
  np.testing.assert_array_equal(found, jnp.stack(expected, 1))
  # Both z and the words before make a difference.
  assert len({text.tobytes() for text in np.asarray(found)}) > 1
  assert (found != found[:, :1]).any()


@pytest.mark.parametrize(('x', 'mask'), [(X[:2], None), ([0, 1], [False] * 2)])
def test_composed_words_go_on_with_one_latent(line, x, mask):
  """Both words of a text of two, as often as the integral over z says."""
  mask = None if mask is None else np.array(mask)
  texts = np.asarray(line('compose', x, K, mask))
  assert texts.shape == (K, 2)
  assert texts.dtype == np.int32
  seen = x if mask is None else []
  loop = Loop(line)
  z = jnp.asarray(grid(*loop.posterior(seen)), jnp.float32)
  _, state = loop.read(seen, z)
  p = integral(
    jnp.stack(
      [
        loop.log_p(state)[:, [word]] + loop.log_p(loop.write(state, word, z))
        for word in range(V)
      ],
      1,
    )
  )
  assert p.sum() == pytest.approx(1, abs=1e-5)
  counts = np.bincount(texts @ [V, 1], minlength=V * V)
  chance = scipy.stats.chisquare(counts, K * p.ravel() / p.sum())
  assert chance.pvalue > P_VALUE


# --- dropout


def ask(module, lm, method, *args, **rngs):
  rngs = {name: jax.random.key(seed) for name, seed in rngs.items()}

  @jax.jit
  def answer(params, rngs):
    return module.apply({'params': params}, X, *args, method=method, rngs=rngs)

  return answer(lm.params, rngs)


def test_the_bound_drops_out_given_a_stream_to_draw_from(lm):
  whole = lm.module.clone(dropout=0.0)
  true = ask(whole, lm, 'bound', sample=0, dropout=1)
  still = ask(lm.module, lm, 'bound', sample=0)
  dropped = [
    ask(lm.module, lm, 'bound', sample=0, dropout=seed) for seed in (1, 2)
  ]
  jax.tree.map(np.testing.assert_array_equal, still, true)
  first, second = (bound.log_likelihood for bound in dropped)
  assert (first != second).any()
  assert (first != true.log_likelihood).any()
  for bound in dropped:  # q reads all
    assert bound.kl_context == true.kl_context


@pytest.mark.parametrize(
  'method', ['log_weights', 'joint_log_weights', 'predict']
)
def test_no_figure_drops_out(lm, method):
  np.testing.assert_array_equal(
    ask(lm.module, lm, method, 3, sample=0, dropout=1),
    ask(lm.module, lm, method, 3, sample=0),
  )


def test_what_stays_makes_up_for_what_is_dropped(lm):
  module, n = lm.module.clone(dropout=0.2), 10_000
  dropped = module.apply(
    {'params': lm.params},
    jnp.ones(n),
    method='_drop',
    rngs={'dropout': jax.random.key(0)},
  )
  assert set(np.asarray(dropped)) == {0.0, np.float32(1.25)}
  assert abs((dropped == 0).mean() - 0.2) < SIGMAS * (0.16 / n) ** 0.5


# --- fields


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    ({'cell': 'gruu'}, 'did you mean .gru.'),
    ({'z_dim': 0}, 'z_dim must be >= 1; got 0'),
    ({'hidden': 0}, 'hidden must be >= 1; got 0'),
    ({'encoder_hidden': 0}, 'encoder_hidden must be >= 1; got 0'),
    ({'embedding': 0}, 'embedding must be >= 1; got 0'),
    ({'dropout': 1.0}, r'dropout must be in \[0, 1\); got 1.0'),
    ({'dropout': -0.1}, r'got -0.1'),
  ],
)
def test_fields_without_meaning_are_refused(fields, message):
  module = NeuralLM((V,), **fields)
  with pytest.raises(InputError, match=message):
    module.init(
      streams(jax.random.key(0)), jnp.zeros(2, jnp.int32), method='bound'
    )
