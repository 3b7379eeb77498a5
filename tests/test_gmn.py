"""The generative matching network: what may depend on what, and its parts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen1shot import bounds, training
from gen1shot.config import Config
from gen1shot.data.episodes import ImageClasses
from gen1shot.errors import InputError
from gen1shot.models.gmn import GenerativeMatchingNetwork
from gen1shot.nn import residual
from gen1shot.nn.sets import Matching, Memory

T, SHAPE = 4, (3, 2, 1)
SIGMAS = 4.5
FIELDS = {
  'nets': 'dense',
  'width': 8,
  'encoder_depth': 1,
  'decoder_depth': 1,
  'features': 6,
  'hidden': 8,
  'match_size': 5,
  'passes': 2,
  'z_dim': 3,
  'pseudo_inputs': 2,
}


def streams(key):
  return dict(zip(('params', 'sample'), jax.random.split(key), strict=True))


def build(**fields):
  module = GenerativeMatchingNetwork(SHAPE, **(FIELDS | fields))
  params = module.init(
    streams(jax.random.key(0)), jnp.zeros((T, *SHAPE)), method='bound'
  )
  noise = np.random.default_rng(0)
  return module, jax.tree.map(
    lambda leaf: leaf + 0.3 * noise.standard_normal(leaf.shape, np.float32),
    params,
  )


@pytest.fixture(scope='module', params=['cosine', 'dot', 'average'])
def network(request):
  return build(matching=request.param)


@pytest.fixture(scope='module')
def x():
  return jax.random.bernoulli(jax.random.key(1), 0.4, (T, *SHAPE)) * 1.0


def influence(function, x):
  """Which objects [T] each output [..., T] of `function` depends on."""
  jacobian = jax.jit(jax.jacobian(function))(x)
  dims = tuple(range(-len(SHAPE), 0))
  return np.asarray(abs(jacobian).max(dims) > 0)


@pytest.mark.parametrize('second', [None, 2], ids=['one set', 'two sets'])
def test_a_prefix_is_blind_to_what_follows(network, x, second):
  module, params = network
  starts = None if second is None else jnp.arange(T) == second

  def parts(x):
    encoded = module.apply(params, x, starts, method='encode')
    ones = jnp.ones((1, T, FIELDS['z_dim']))
    zs = (ones, ones)
    # Of p(x | z, r) the answer r alone, at fixed pixels.
    likelihood = module.apply(
      params, jax.lax.stop_gradient(x), encoded, zs, method='log_p'
    )[0]
    return jnp.stack(
      [
        sum(given.sum(-1) for given in encoded.prior),
        sum(given.sum(-1) for given in encoded.posterior),
        likelihood,
      ]
    )

  number = np.arange(T) >= (second or 0)
  same = np.equal.outer(number, number)
  before = same & np.tri(T, T, -1, dtype=bool)
  prior, posterior, likelihood = influence(parts, x)
  np.testing.assert_array_equal(prior, before)
  np.testing.assert_array_equal(likelihood, before)
  np.testing.assert_array_equal(posterior, before | np.eye(T, dtype=bool))


def test_sets_in_a_row_are_as_if_alone(network, x):
  module, params = network
  row = module.apply(params, x, jnp.arange(T) % 2 == 0, method='encode')
  for start in range(0, T, 2):
    place = slice(start, start + 2)
    alone = module.apply(params, x[place], method='encode')
    for name in ('prior', 'posterior'):
      jax.tree.map(
        lambda a, b, place=place: np.testing.assert_allclose(
          a, b[place], rtol=1e-5, atol=1e-6
        ),
        getattr(alone, name),
        getattr(row, name),
      )


def last_log_weight(network, x):
  module, params = network
  rngs = streams(jax.random.key(2))
  return module.apply(params, x, 5, method='log_weights', rngs=rngs)[:, -1]


def test_the_order_of_the_support_does_not_matter(network, x):
  shuffled = x[jnp.array([2, 0, 1, 3])]
  np.testing.assert_allclose(
    last_log_weight(network, x), last_log_weight(network, shuffled), rtol=1e-5
  )


def predict(network, support, mask=None):
  module, params = network
  rngs = streams(jax.random.key(2))
  return module.apply(params, support, 4, mask, method='predict', rngs=rngs)


def test_without_support_the_pseudo_inputs_stand_alone(network, x):
  module, params = network
  nothing = predict(network, x[:0])
  np.testing.assert_allclose(
    nothing, predict(network, x, jnp.zeros(T, bool)), rtol=1e-5
  )
  # They make the difference: other pseudo-inputs, other images.
  changed = jax.tree.map(lambda leaf: leaf, params)
  values = changed['params']['pseudo_values']
  changed['params']['pseudo_values'] = values + 1.0
  assert abs(predict((module, changed), x[:0]) - nothing).max() > 1e-3


def test_pseudo_inputs_can_be_removed_after_training(network, x):
  module, params = network
  without = module.clone(use_pseudo_inputs=False)

  def loss(pseudo):
    given = {'params': params['params'] | {'pseudo_values': pseudo}}
    return last_log_weight((without, given), x).sum()

  gradient = jax.grad(loss)(params['params']['pseudo_values'])
  np.testing.assert_array_equal(gradient, 0.0)
  empty = predict((without, params), x[:0])
  assert jnp.isfinite(empty).all()


def test_no_pseudo_inputs_is_legal(x):
  network = build(pseudo_inputs=0)
  assert not any('pseudo' in name for name in network[1]['params'])
  assert jnp.isfinite(last_log_weight(network, x)).all()
  with pytest.raises(InputError, match='pseudo_inputs must be >= 0; got -1'):
    build(pseudo_inputs=-1)


def test_masked_objects_have_no_influence(network, x):
  module, params = network
  mask = jnp.array([True, False, True, True])

  def bound(x):
    rngs = streams(jax.random.key(2))
    return module.apply(params, x, mask, method='bound', rngs=rngs).elbo()

  gradient = jax.grad(bound)(x)
  assert not gradient[1].any()
  assert gradient[0].any()


def test_bounds_grow_with_the_number_of_samples(network, x):
  module, params = network

  def bound(K):
    def draw(key):
      log_weights = module.apply(
        params, x, K, method='log_weights', rngs=streams(key)
      )
      return bounds.iwae(log_weights).mean()

    draws = jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(3), 2000))
    return draws.mean(), draws.std() / len(draws) ** 0.5

  (one, error), (five, _), (fifty, _) = bound(1), bound(5), bound(50)
  assert one + SIGMAS * error < five < fifty


def test_the_bound_is_the_mean_of_the_log_weights(network, x):
  module, params = network

  @jax.jit
  @jax.vmap
  def draw(key):
    rngs = streams(key)
    bound = module.apply(params, x, method='bound', rngs=rngs)
    weights = module.apply(params, x, 1, method='log_weights', rngs=rngs)
    return bound.log_likelihood - bound.kl_local, weights[0]

  closed, sampled = draw(jax.random.split(jax.random.key(3), 20_000))
  error = (closed.var(0) + sampled.var(0)) ** 0.5 / 20_000**0.5
  assert (abs(closed.mean(0) - sampled.mean(0)) < SIGMAS * error).all()


def test_a_learned_copy_raises_its_own_likelihood():
  """A network that has learned to copy scores a duplicate higher."""
  rng = np.random.default_rng(0)
  # Classes of one image, so that examples are copies.
  classes = rng.integers(0, 2, (200, 1, *SHAPE), np.uint8)
  dataset = ImageClasses.stack(list(classes[:150]))
  module, _ = build()
  config = Config(
    model='gmn',
    batch_size=50,
    episode_length=2,
    replacement=True,
    steps=300,
    learning_rate=1e-2,
  )
  example = jnp.zeros((2, *SHAPE))
  state = training.init_state(module, config, example, jax.random.key(0))
  step = jax.jit(training.make_train_step(module, config))
  for _ in range(config.steps):
    state, _ = step(state, dataset, jax.random.key(1))
  held_out = jnp.asarray(classes[150:, 0], jnp.float32)

  @jax.vmap
  def score(support, x):
    pair = jnp.stack([support, x])
    log_weights = module.apply(
      {'params': state.averaged},
      pair,
      100,
      method='log_weights',
      rngs=streams(jax.random.key(4)),
    )
    return bounds.iwae(log_weights)[1]

  own = score(held_out, held_out)
  other = score(jnp.roll(held_out, 1, axis=0), held_out)
  assert own.mean() > other.mean() + 0.5


# --- matching


def memory_of(count):
  noise = np.random.default_rng(1)
  return Memory(
    jnp.asarray(noise.standard_normal((count, 3), np.float32)),
    jnp.asarray(noise.standard_normal((count, 4), np.float32)),
  )


def match(kind, memory, visible, question):
  module = Matching(4, 1, kind)

  def ask(state):
    return jnp.broadcast_to(question, state.shape)

  answer, params = module.init_with_output(
    jax.random.key(0), memory, visible, ask
  )
  if kind == 'average':  # asks for no temperature
    return answer[0], None
  temperature = params['params']['temperature']
  state = params['params']['start'] @ temperature['kernel'][:, 0]
  return answer[0], jax.nn.softplus(state + temperature['bias'][0])


@pytest.mark.parametrize('kind', ['cosine', 'dot'])
def test_one_pass_is_softmax_attention(kind):
  memory, question = memory_of(5), jnp.array([0.3, -1.0, 0.5, 2.0])
  visible = np.array([True, True, False, True, True])
  answer, temperature = match(kind, memory, visible, question)
  keys, values = np.asarray(memory.keys), np.asarray(memory.values)
  similarity = keys @ question
  if kind == 'cosine':
    similarity /= np.linalg.norm(keys, axis=1) * np.linalg.norm(question)
  weights = np.exp(np.asarray(temperature * similarity)) * visible
  np.testing.assert_allclose(
    answer, weights @ values / weights.sum(), rtol=1e-4, atol=1e-5
  )


def test_average_is_the_mean_of_the_visible():
  memory = memory_of(5)
  visible = np.array([True, False, False, True, True])
  answer, _ = match('average', memory, visible, jnp.ones(4))
  np.testing.assert_allclose(
    answer, memory.values[visible].mean(0), rtol=1e-5, atol=1e-6
  )


@pytest.mark.parametrize('kind', ['cosine', 'dot', 'average'])
def test_nothing_visible_is_zero_with_finite_gradients(kind):
  memory = memory_of(3)

  def loss(memory):
    answer, _ = match(kind, memory, np.zeros(3, bool), jnp.ones(4))
    return answer.sum()

  value, gradient = jax.value_and_grad(loss)(memory)
  assert value == 0.0
  for leaf in jax.tree.leaves(gradient):
    np.testing.assert_array_equal(leaf, 0.0)


def test_fields_without_a_meaning_are_refused(x):
  with pytest.raises(InputError, match='layers must be >= 1; got 0'):
    build(layers=0)
  with pytest.raises(InputError, match='passes must be >= 1; got 0'):
    build(passes=0)
  with pytest.raises(InputError, match='cosine'):
    build(matching='cosin')
  with pytest.raises(InputError, match='plain'):
    build(decoder='dinamic')
  with pytest.raises(InputError, match='nets=residual; got dense'):
    build(decoder='dynamic')


# --- residual convolutions


@pytest.mark.parametrize('kernel', [2, 3, 4])
def test_transposed_convolution_is_that_of_the_library(kernel):
  x = jax.random.normal(jax.random.key(0), (2, 5, 6, 3))
  module = residual.TransposedConv(4, kernel)
  blocks, params = module.init_with_output(jax.random.key(1), x)
  y = residual.interleave(blocks, kernel)
  # The library correlates with the kernel as it is, we with its mirror image.
  expected = jax.lax.conv_transpose(
    x,
    params['params']['kernel'][::-1, ::-1],
    (2, 2),
    'VALID',
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )
  np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


def test_dynamic_factors_are_filters_of_each_image():
  noise = np.random.default_rng(0)
  x = jnp.asarray(noise.standard_normal((2, 4, 4, 3), np.float32))
  factors = jnp.asarray(noise.standard_normal((2, 5), np.float32))

  class Layer(residual.nn.Module):
    @residual.nn.compact
    def __call__(self, x, factors):
      return residual._conv(x, factors)

  params = Layer().init(jax.random.key(0), x, factors)['params']
  dense = params['Dense_0']
  dense['kernel'] = jnp.asarray(
    noise.standard_normal(dense['kernel'].shape, np.float32)
  )
  y = Layer().apply({'params': params}, x, factors)
  for own_x, own_factors, own_y in zip(x, factors, y, strict=True):
    a, b = np.split(
      np.asarray(1 + own_factors @ dense['kernel'] + dense['bias']), 2
    )
    kernel = params['Conv_0']['kernel'] * a[:, None] * b
    expected = jax.lax.conv_general_dilated(
      own_x[None],
      kernel,
      (1, 1),
      'SAME',
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )[0]
    expected += b * params['Conv_0']['bias']
    np.testing.assert_allclose(own_y, expected, rtol=1e-3, atol=1e-4)
