"""The neural statistician: exact likelihoods, structure, fields.

The exact likelihoods are those of a linear-Gaussian instance, worked out in
NumPy from its parameters.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from flax import linen as nn

from gen1shot.bounds import log_mean_exp
from gen1shot.distributions import DiagGaussian
from gen1shot.errors import InputError
from gen1shot.models import statistician as models
from gen1shot.models.statistician import Statistician
from gen1shot.nn.conv import _double, elu
from gen1shot.nn.mixer import from_patches, to_patches

# Keys are fixed, so a test does not flicker; a correct code base fails at
# 4.5 standard errors for one key in 150,000.
SIGMAS = 4.5


# --- a linear-Gaussian instance

C_DIM, Z_DIM, X_DIM = 2, 1, 2
OBJECTS = np.array([[0.8, -0.4], [1.1, 0.3], [0.2, 0.1], [-0.5, 0.9]])
X = jnp.array(OBJECTS, jnp.float32)


def linear_statistician(layers):
  return Statistician(
    (X_DIM,),
    observation='gaussian',
    nets='dense',
    encoder_depth=0,
    decoder_depth=0,
    mlp_depth=0,
    features=X_DIM,
    c_dim=C_DIM,
    z_dim=Z_DIM,
    layers=layers,
    sample_dropout=False,
  )


def linear_params(layers):
  """name -> (weights [in, D], bias [D], logvars), chosen and not learned.

  A map's outputs are N(input @ weights + bias, exp(logvars)); the statistic's
  logvars depend on the size of the set and are applied in `context`.
  """
  rng = np.random.default_rng(layers)

  def weights(rows, columns, scale=1.0):
    return scale * rng.uniform(0.4, 1.0, (rows, columns)) / rows

  maps = {'statistic': (weights(X_DIM + 1, C_DIM), np.array([0.2, -0.1]), None)}
  for l in range(layers):
    above = Z_DIM if l else 0
    maps[f'priors_{l}'] = (
      weights(C_DIM + above, Z_DIM, 1.5),
      np.array([0.3]),
      np.array([-0.5]),
    )
    # Near enough to the true posterior that importance weights behave.
    maps[f'posteriors_{l}'] = (
      weights(X_DIM + C_DIM + above, Z_DIM),
      np.array([0.1]),
      np.array([-0.4]),
    )
  maps['decoder'] = (
    weights(C_DIM + layers * Z_DIM, X_DIM, 1.5),
    np.array([-0.1, 0.2]),
    np.array([-0.3, 0.1]),
  )
  return maps


SIZE_TO_LOGVAR = -0.6  # a larger set knows the context better


def context(maps, objects):
  """q(c | objects): mean and variances; N(0, I) without objects."""
  if not len(objects):
    return np.zeros(C_DIM), np.ones(C_DIM)
  weights, bias, _ = maps['statistic']
  size = np.log1p(len(objects))
  mean = np.append(objects.mean(0), size) @ weights + bias
  logvar = 7 * np.tanh(SIZE_TO_LOGVAR * size / 7) * np.ones(C_DIM)
  return mean, np.exp(logvar)


def object_given_context(maps, layers):
  """p(x | c) = N(c @ G + g, R), with z_L..z_1 integrated out."""
  # Each latent is an affine function of c plus noise; all of them together
  # are (c, 1) @ affine + noise of covariance `noise`.
  c = np.vstack([np.eye(C_DIM), np.zeros((1, C_DIM))])
  zs = []  # (affine, map of a vector of independent unit noises)
  for l in range(layers):
    weights, bias, logvars = maps[f'priors_{l}']
    affine = c @ weights[:C_DIM]
    affine[-1] += bias
    noise = np.zeros((layers * Z_DIM, Z_DIM))
    if l:
      above, above_noise = zs[-1]
      affine = affine + above @ weights[C_DIM:]
      noise = above_noise @ weights[C_DIM:]
    noise[l * Z_DIM : (l + 1) * Z_DIM] += np.diag(np.exp(logvars / 2))
    zs.append((affine, noise))
  weights, bias, logvars = maps['decoder']
  affine = np.hstack([*(a for a, _ in zs), c]) @ weights
  affine[-1] += bias
  noise = np.hstack([n for _, n in zs]) @ weights[: layers * Z_DIM]
  return affine[:-1], affine[-1], noise.T @ noise + np.diag(np.exp(logvars))


def log_predictive(maps, layers):
  """log p(x_t | x_<t) = log ∫ q(c | x_<t) p(x_t | c) dc, [T]."""
  G, g, R = object_given_context(maps, layers)
  logs = []
  for t, x in enumerate(OBJECTS):
    mean, variances = context(maps, OBJECTS[:t])
    cov = G.T @ np.diag(variances) @ G + R
    logs.append(scipy.stats.multivariate_normal.logpdf(x, mean @ G + g, cov))
  return np.array(logs)


def log_joint(maps, layers, objects=OBJECTS):
  """log p(x_1..x_T) = log ∫ p(c) prod_t p(x_t | c) dc."""
  G, g, R = object_given_context(maps, layers)
  T = len(objects)
  cov = np.kron(np.ones((T, T)), G.T @ G) + np.kron(np.eye(T), R)
  return scipy.stats.multivariate_normal.logpdf(
    objects.ravel(), np.tile(g, T), cov
  )


def variables(maps):
  """The maps as the module's parameters."""

  def dense(weights, bias, logvars):
    # tanh's inverse: from_parameters squashes log variances
    raw = 7 * np.arctanh(logvars / 7)
    kernel = np.hstack([weights, np.zeros_like(weights)])
    return {'kernel': kernel, 'bias': np.append(bias, raw)}

  statistic = dense(*maps['statistic'][:2], np.zeros(C_DIM))
  statistic['kernel'][-1, C_DIM:] = SIZE_TO_LOGVAR
  statistic['bias'][C_DIM:] = -models._START_LOGVAR  # which the module adds
  params = {
    'encoder': {
      'MLP_0': {'Dense_0': {'kernel': np.eye(X_DIM), 'bias': np.zeros(X_DIM)}}
    },
    'decoder': {'MLP_0': {'Dense_0': dense(*maps['decoder'])}},
    'statistic': {'Dense_0': statistic},
  }
  for name, values in maps.items():
    if name.startswith(('priors', 'posteriors')):
      params[name] = {'Dense_0': dense(*values)}
  return {'params': jax.tree.map(lambda a: jnp.asarray(a, 'float32'), params)}


@functools.cache
def linear_weights(layers):
  """(maps, log_weights [K, T], joint_log_weights [K, 1]), K = 100,000."""
  module, maps = linear_statistician(layers), linear_params(layers)

  @jax.jit
  def weigh(key):
    return tuple(
      module.apply(
        variables(maps), X, 100_000, method=method, rngs={'sample': key}
      )
      for method in ('log_weights', 'joint_log_weights')
    )

  return maps, *weigh(jax.random.key(layers))


def check_estimate(log_weights, exact):
  """The log-mean-exp is `exact`, up to an error that it estimates itself."""
  relative = np.exp(np.asarray(log_weights, float) - exact)
  stderr = relative.std(0) / len(relative) ** 0.5
  assert (stderr < 0.03).all()  # nats, by the delta method
  estimate = log_mean_exp(log_weights)
  assert (abs(estimate - exact) < SIGMAS * stderr + 1e-4).all()


@pytest.mark.parametrize('layers', [1, 2, 3])
def test_log_weights_estimate_the_exact_predictive(layers):
  maps, log_weights, _ = linear_weights(layers)
  check_estimate(log_weights, log_predictive(maps, layers))


@pytest.mark.parametrize('layers', [1, 2, 3])
def test_joint_log_weights_estimate_the_exact_joint(layers):
  maps, _, log_weights = linear_weights(layers)
  check_estimate(log_weights, log_joint(maps, layers))


def test_first_predictive_is_the_joint_of_one_object():
  maps = linear_params(2)
  assert log_predictive(maps, 2)[0] == pytest.approx(
    log_joint(maps, 2, OBJECTS[:1])
  )


def check_below(samples, exact):
  samples = np.asarray(samples, float)
  stderr = samples.std(0) / len(samples) ** 0.5
  assert (samples.mean(0) < exact - SIGMAS * stderr).all()


def test_one_sample_bounds_stay_below_the_exact_values():
  maps, predictive, joint = linear_weights(1)
  check_below(predictive, log_predictive(maps, 1))
  check_below(joint, log_joint(maps, 1))


def elbos(module, params, x, count=20_000):
  """`count` draws of the ELBO."""

  @jax.jit
  @jax.vmap
  def draw(key):
    sample_key, dropout_key = jax.random.split(key)
    rngs = {'sample': sample_key, 'dropout': dropout_key}
    return module.apply(params, x, method='bound', rngs=rngs).elbo()

  return np.asarray(draw(jax.random.split(jax.random.key(7), count)), float)


def check_equal_means(a, b):
  stderr = (a.var() / len(a) + b.var() / len(b)) ** 0.5
  assert stderr < 0.03
  assert abs(a.mean() - b.mean()) < SIGMAS * stderr


@pytest.mark.parametrize('layers', [1, 2])
def test_bound_is_the_mean_of_joint_log_weights(layers):
  maps, _, joint = linear_weights(layers)
  draws = elbos(linear_statistician(layers), variables(maps), X)
  check_equal_means(draws, np.asarray(joint[:, 0], float))


def test_bound_of_one_object_is_the_mean_of_its_log_weights():
  maps, predictive, _ = linear_weights(2)
  draws = elbos(linear_statistician(2), variables(maps), X[:1])
  check_equal_means(draws, np.asarray(predictive[:, 0], float))


def test_sample_dropout_keeps_a_lower_bound():
  maps, *_ = linear_weights(1)
  module = linear_statistician(1).clone(sample_dropout=True)
  draws = elbos(module, variables(maps), X)
  check_below(draws, log_joint(maps, 1))
  whole = elbos(linear_statistician(1), variables(maps), X)
  assert draws.std() != whole.std()  # it does something


# --- structure

T, SHAPE = 5, (4, 3, 1)
TINY = {
  'nets': 'dense',
  'width': 8,
  'features': 8,
  'hidden': 8,
  'c_dim': 4,
  'z_dim': 3,
}


@pytest.fixture(scope='module')
def statistician():
  """(module, variables) with noise in every parameter; L = 2, no dropout."""
  module = Statistician(SHAPE, layers=2, sample_dropout=False, **TINY)
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


def streams(key):
  names = ('params', 'sample', 'dropout')
  return dict(zip(names, jax.random.split(key, 3), strict=True))


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
  # The orders of float32 sums differ.
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), a, b
  )


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


def influence(function, x):
  """Which objects [T] each output [..., T] of `function` depends on."""
  jacobian = jax.jit(jax.jacobian(function))(x)
  dims = tuple(range(-len(SHAPE), 0))
  return np.asarray(abs(jacobian).max(dims) > 0)


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


# --- fields


@pytest.mark.parametrize(
  ('nets', 'shape', 'observation', 'layers'),
  [
    ('conv', (28, 28, 1), 'bernoulli', 1),
    ('conv', (28, 28, 3), 'logistic', 2),
    ('mixer', (28, 28, 1), 'bernoulli', 1),
    ('mixer', (14, 21, 2), 'gaussian', 2),
    ('dense', (3,), 'gaussian', 3),
    ('dense', (5, 2), 'bernoulli', 2),
    ('dense', (4, 6, 3), 'logistic', 1),
  ],
)
def test_answers_have_their_shapes(nets, shape, observation, layers):
  # The mixer's vectors are divided among its tokens, 16 or 6 of them.
  sizes = {'features': 48, 'c_dim': 48, 'z_dim': 48}
  fields = TINY | {'nets': nets} | (sizes if nets == 'mixer' else {})
  module = Statistician(shape, observation=observation, layers=layers, **fields)
  x = jax.ShapeDtypeStruct((T, *shape), jnp.float32)
  rngs = streams(jax.random.key(0))

  def answers(x):
    params = module.init(rngs, x, method='bound')

    def call(method, *args):
      return module.apply(params, *args, method=method, rngs=rngs)

    return {
      'bound': call('bound', x),
      'log_weights': call('log_weights', x, 6),
      'joint_log_weights': call('joint_log_weights', x, 6),
      'predict': call('predict', x, 7),
      'unconditional': call('predict', x[:0], 7),
      'embed': call('embed', x),
    }

  shapes = jax.tree.map(lambda leaf: leaf.shape, jax.eval_shape(answers, x))
  bound = shapes['bound']
  assert bound.log_likelihood == bound.kl_local == (T,)
  assert bound.kl_context == ()
  assert shapes['log_weights'] == (6, T)
  assert shapes['joint_log_weights'] == (6, 1)
  assert shapes['predict'] == shapes['unconditional'] == (7, *shape)
  assert shapes['embed'].mean == shapes['embed'].logvar == (fields['c_dim'],)


@pytest.mark.parametrize(
  ('shape', 'fields', 'message'),
  [
    ((28, 28, 1), {'layers': 0}, 'layers must be >= 1; got 0'),
    ((28, 28, 1), {'nets': 'convv'}, "got 'convv' (did you mean 'conv'?)"),
    ((28, 28, 1), {'observation': 'poisson'}, 'bernoulli, gaussian, logistic'),
    ((32, 32, 1), {'nets': 'conv'}, '28x28 pixels; got (32, 32, 1)'),
    ((28, 28), {'nets': 'mixer'}, 'got (28, 28)'),
    ((28, 30, 1), {'nets': 'mixer'}, 'divisible by 7; got (28, 30, 1)'),
    ((28, 28, 1), {'nets': 'mixer', 'features': 40}, '40'),
  ],
)
def test_a_field_without_meaning_is_refused(shape, fields, message):
  module = Statistician(shape, **(TINY | fields))
  with pytest.raises(InputError) as caught:
    jax.eval_shape(
      lambda x: module.init(streams(jax.random.key(0)), x, method='bound'),
      jax.ShapeDtypeStruct((T, *shape), jnp.float32),
    )
  assert message in str(caught.value)
  assert '\n' not in str(caught.value)


# --- image nets


def test_elu_and_its_gradient_are_those_of_jax(key):
  x = jnp.concatenate(
    [
      jnp.array([0.0, -0.0, 1e-6, -1e-6, 90.0, -90.0]),
      jax.random.normal(key, 99),
    ]
  )
  np.testing.assert_allclose(elu(x), jax.nn.elu(x), rtol=1e-6, atol=1e-7)
  np.testing.assert_allclose(
    jax.vmap(jax.grad(elu))(x),
    jax.vmap(jax.grad(jax.nn.elu))(x),
    rtol=1e-6,
    atol=1e-7,
  )


class Double(nn.Module):
  @nn.compact
  def __call__(self, x):
    return _double(x, 5)


def test_double_is_a_transposed_convolution(key):
  x = jax.random.normal(key, (2, 4, 3, 6))
  y, params = Double().init_with_output(key, x)
  (kernel,) = jax.tree.leaves(params)  # [in, 2 * 2 * out]
  taps = kernel.reshape(6, 2, 2, 5).transpose(1, 2, 0, 3)
  expected = jax.lax.conv_transpose(
    x,
    taps[::-1, ::-1],  # JAX correlates, and does not flip
    strides=(2, 2),
    padding='VALID',
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )
  assert y.shape == (2, 8, 6, 5)
  np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


def test_patches_are_squares_of_the_image():
  image = jnp.arange(14 * 21 * 2.0).reshape(14, 21, 2)
  patches = to_patches(image)
  assert patches.shape == (6, 98)
  np.testing.assert_array_equal(patches[4].reshape(7, 7, 2), image[7:14, 7:14])


def test_from_patches_undoes_to_patches(key):
  x = jax.random.normal(key, (2, 3, 14, 21, 2))
  np.testing.assert_array_equal(from_patches(to_patches(x), 2, 3), x)
