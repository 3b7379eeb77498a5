"""The generative matching network: what may depend on what, its bounds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from odds import SIGMAS
from questions import influence

from gen1shot import bounds, training
from gen1shot.config import Config
from gen1shot.data.episodes import ImageClasses
from gen1shot.errors import InputError
from gen1shot.models.gmn import GenerativeMatchingNetwork

T, SHAPE = 4, (3, 2, 1)
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


def test_without_pseudo_inputs_there_may_be_no_support(x):
  network = build(pseudo_inputs=0)
  assert jnp.isfinite(predict(network, x[:0])).all()
  module, params = network
  q = module.apply(params, x[:0], method='embed')
  np.testing.assert_array_equal(q.mean, jnp.zeros_like(q.mean))


def test_a_masked_object_may_be_no_number(network, x):
  module, params = network
  mask = jnp.array([True, False, True, True])

  def embed(x):
    return module.apply(params, x, mask, method='embed').mean

  np.testing.assert_array_equal(embed(x.at[1].set(jnp.nan)), embed(x))


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
