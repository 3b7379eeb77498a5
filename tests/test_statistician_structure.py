"""What a statistician's answers depend on: order, prefix, mask, size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from flax import linen as nn
from odds import SIGMAS
from questions import influence, streams
from tiny import TINY

from gen1shot.distributions import DiagGaussian
from gen1shot.models.statistician import Statistician
from gen1shot.nn import sets

T, SHAPE = 5, (4, 3, 1)


@pytest.fixture(scope='module', params=['mean', 'mean_and_max'])
def statistician(request):
  """(module, variables) with noise in every parameter; L = 2, no dropout."""
  fields = TINY | {'pooling': request.param}
  module = Statistician(SHAPE, layers=2, sample_dropout=False, **fields)
  return module, initialised(module)


@pytest.fixture(scope='module')
def x():
  return jax.random.bernoulli(jax.random.key(3), 0.4, (T, *SHAPE)) * 1.0


@pytest.fixture
def noiseless(monkeypatch):
  """Every Gaussian draws its mean: what is random otherwise can be compared."""
  monkeypatch.setattr(
    DiagGaussian,
    'sample',
    lambda self, key, shape=(): jnp.broadcast_to(
      self.mean, (*shape, *self.mean.shape)
    ),
  )


def initialised(module, T=T):
  """Variables of a module, biases included in the noise."""
  rngs = streams(jax.random.key(1))
  example = jnp.zeros((T, *module.observation_shape))
  shapes = jax.eval_shape(lambda: module.init(rngs, example, method='bound'))
  rng = np.random.default_rng(0)
  return jax.tree.map(
    lambda leaf: jnp.asarray(0.4 * rng.normal(size=leaf.shape), leaf.dtype),
    shapes,
  )


def ask(statistician, method, *args, seed=2):
  """One question, compiled; the same seed gives the same noise."""
  module, params = statistician
  traced = [a for a in args if not isinstance(a, int)]
  counts = [a for a in args if isinstance(a, int)]

  @jax.jit
  def call(params, *traced):
    given = [traced[0], *counts, *traced[1:]]
    rngs = streams(jax.random.key(seed))
    return module.apply(params, *given, method=method, rngs=rngs)

  return call(params, *traced)


def assert_same(a, b):
  # The orders of float32 sums differ: exact to the largest of an array.
  def close(a, b):
    atol = 1e-5 + 1e-6 * float(abs(b).max(initial=0))
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=atol)

  jax.tree.map(close, a, b)


ORDER = np.array([2, 0, 3, 1])


def test_order_of_the_support_leaves_embed_alone(statistician, x):
  assert_same(
    ask(statistician, 'embed', x[:4]), ask(statistician, 'embed', x[ORDER])
  )


def test_order_of_the_support_leaves_predict_alone(statistician, x):
  assert_same(
    ask(statistician, 'predict', x[:4], 3),
    ask(statistician, 'predict', x[ORDER], 3),
  )


def test_order_of_the_support_leaves_the_last_log_weight_alone(statistician, x):
  other = jnp.concatenate([x[ORDER], x[4:]])
  first = ask(statistician, 'log_weights', x, 3)
  second = ask(statistician, 'log_weights', other, 3)
  assert_same(first[:, -1], second[:, -1])
  assert abs(first[:, :-1] - second[:, :-1]).max() > 1e-3


def test_order_of_the_objects_permutes_the_terms_of_the_bound(
  statistician, x, noiseless
):
  order = np.append(ORDER, 4)
  first = ask(statistician, 'bound', x)
  second = ask(statistician, 'bound', x[order])
  assert_same(first.log_likelihood[order], second.log_likelihood)
  assert_same(first.kl_local[order], second.kl_local)
  assert_same(first.kl_context, second.kl_context)


@pytest.mark.parametrize('second', [None, 2], ids=['one set', 'two sets'])
def test_prefix_contexts_see_the_prefix_and_nothing_else(
  statistician, x, second
):
  module, params = statistician
  starts = None if second is None else jnp.arange(T) == second

  def contexts(x):
    encoded = module.apply(params, x, starts, method='encode')
    return jnp.stack([encoded.before.mean.sum(-1), encoded.upto.mean.sum(-1)])

  number = np.arange(T) >= (second or 0)
  same = np.equal.outer(number, number)
  before, upto = influence(contexts, x)
  np.testing.assert_array_equal(before, same & np.tri(T, T, -1, dtype=bool))
  np.testing.assert_array_equal(upto, same & np.tri(T, T, 0, dtype=bool))


def test_sets_in_a_row_are_encoded_as_if_alone(statistician, x):
  module, params = statistician
  row = module.apply(params, x, jnp.arange(T) % 2 == 0, method='encode')
  for start in range(0, T, 2):
    place = slice(start, start + 2)
    alone = module.apply(params, x[place], method='encode')
    jax.tree.map(lambda a, b, place=place: assert_same(a, b[place]), alone, row)


def test_log_weights_depend_on_the_past_and_present_only(statistician, x):
  module, params = statistician

  def weigh(x):
    rngs = streams(jax.random.key(2))
    return module.apply(params, x, 2, method='log_weights', rngs=rngs)

  for depends in influence(weigh, x):
    np.testing.assert_array_equal(depends, np.tri(T, T, 0, bool))


@pytest.mark.parametrize(('proposal', 'present'), [('upto', 0), ('before', -1)])
def test_proposals_see_what_they_say(statistician, x, proposal, present):
  module, params = statistician
  module = module.clone(proposal=proposal)

  def contexts(x):
    def draw(module):
      return module.sample_posterior(module.encode(x), 2).c.sum((0, -1))

    rngs = streams(jax.random.key(2))
    return module.apply(params, method=draw, rngs=rngs)[None]

  (depends,) = influence(contexts, x)
  np.testing.assert_array_equal(depends, np.tri(T, T, present, dtype=bool))


def test_maxima_of_a_set_are_those_of_its_objects():
  h = jax.random.normal(jax.random.key(0), (T, 3)) - 5.0  # never above 0
  expected = np.maximum.accumulate(h, axis=0)
  assert_same(sets.prefix_maxima(h), expected)
  assert_same(sets.masked_max(h), expected[-1])
  assert_same(sets.masked_max(h, jnp.arange(T) < 3), expected[2])
  assert_same(sets.masked_max(h, jnp.zeros(T, bool)), np.zeros(3))
  assert_same(sets.masked_max(h[:0]), np.zeros(3))


MASK = np.array([True, False, True, True, False])


def test_masked_objects_leave_bound_and_its_gradient_alone(
  statistician, x, noiseless
):
  module, params = statistician

  def loss(params, x, mask):
    rngs = streams(jax.random.key(2))
    bound = module.apply(params, x, mask, method='bound', rngs=rngs)
    return bound.elbo(), bound

  check = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))
  (value, bound), gradients = check(params, x, jnp.asarray(MASK))
  (expected, short), shorter = check(params, x[MASK], None)
  assert_same(value, expected)
  assert_same(gradients[0], shorter[0])
  assert_same(gradients[1][MASK], shorter[1])
  assert not gradients[1][~MASK].any()
  for field in ('log_likelihood', 'kl_local'):
    assert_same(getattr(bound, field)[MASK], getattr(short, field))
    assert not getattr(bound, field)[~MASK].any()


@pytest.mark.parametrize('garbage', [7.0, np.nan])
def test_masked_objects_leave_embed_and_predict_alone(statistician, x, garbage):
  spoilt = jnp.where(MASK[:, None, None, None], x, garbage)
  assert_same(
    ask(statistician, 'embed', spoilt, jnp.asarray(MASK)),
    ask(statistician, 'embed', x[MASK]),
  )
  assert_same(
    ask(statistician, 'predict', spoilt, 3, jnp.asarray(MASK)),
    ask(statistician, 'predict', x[MASK], 3),
  )


def test_no_support_means_the_prior(statistician, x):
  empty = ask(statistician, 'embed', x[:0])
  hidden = ask(statistician, 'embed', x, jnp.zeros(T, bool))
  for q_c in (empty, hidden):
    np.testing.assert_array_equal(q_c.mean, np.zeros(TINY['c_dim']))
    np.testing.assert_array_equal(q_c.logvar, np.zeros(TINY['c_dim']))


def test_predict_without_support_draws_from_the_prior(statistician, x):
  means = ask(statistician, 'predict', x[:0], 3)
  assert means.shape == (3, *SHAPE)
  assert np.isfinite(means).all()
  assert_same(means, ask(statistician, 'predict', x, 3, jnp.zeros(T, bool)))


def test_context_knows_the_size_of_the_set(statistician, x):
  once = ask(statistician, 'embed', x[:1])
  thrice = ask(statistician, 'embed', jnp.repeat(x[:1], 3, axis=0))
  assert abs(once.logvar - thrice.logvar).max() > 1e-2


def test_one_set_of_parameters_serves_every_size(statistician):
  module, params = statistician

  def shapes(tree):
    return jax.tree.map(lambda leaf: leaf.shape, tree)

  for size in (1, 2, 9):
    assert shapes(initialised(module, size)) == shapes(params)
    bound = jax.eval_shape(
      lambda x: module.apply(
        params, x, method='bound', rngs=streams(jax.random.key(0))
      ),
      jnp.zeros((size, *SHAPE)),
    )
    assert bound.log_likelihood.shape == bound.kl_local.shape == (size,)
    assert bound.kl_context.shape == ()


def kept(statistician, mask, count=20_000):
  """Which objects sample dropout keeps, [count, T]."""
  module, params = statistician

  @jax.jit
  @jax.vmap
  def draw(key):
    return nn.apply(lambda module: module._keep_some(T, mask), module)(
      params, rngs={'dropout': key}
    )

  return np.asarray(draw(jax.random.split(jax.random.key(5), count)))


@pytest.mark.parametrize('mask', [None, MASK])
def test_sample_dropout_keeps_a_subset_of_uniform_size(statistician, mask):
  present = np.ones(T, bool) if mask is None else mask
  subsets = kept(statistician, None if mask is None else jnp.asarray(mask))
  assert not subsets[:, ~present].any()
  sizes = np.bincount(subsets.sum(1), minlength=T + 1)
  n = present.sum()
  assert sizes[0] == 0
  assert sizes[n + 1 :].sum() == 0
  assert scipy.stats.chisquare(sizes[1 : n + 1]).pvalue > 1e-4
  # and every object as often as another
  shares = subsets[:, present].mean(0)
  expected = (n + 1) / 2 / n
  stderr = (expected * (1 - expected) / len(subsets)) ** 0.5
  assert (abs(shares - expected) < SIGMAS * stderr).all()


def test_decoder_sees_every_layer_and_the_context(statistician):
  module, params = statistician
  sizes = (TINY['z_dim'], TINY['z_dim'], TINY['c_dim'])
  latents = [jnp.ones((1, size)) for size in sizes]

  def mean(*latents):
    *zs, c = latents
    likelihood = nn.apply(
      lambda module: module._likelihood(c, tuple(zs)), module
    )(params)
    return likelihood.mean.sum()

  for gradient in jax.grad(mean, (0, 1, 2))(*latents):
    assert (abs(gradient) > 0).all()
