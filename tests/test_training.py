"""A training step: it learns and repeats itself; its objective."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from tiny import CONFIG

from gen1shot import training, zoo
from gen1shot.checkpoints import digest
from gen1shot.data.episodes import ImageClasses
from gen1shot.objectives import objective

SHAPE = (5, 5, 1)


@pytest.fixture(scope='module')
def dataset():
  """4 classes of 3 images, each a pattern with one pixel wrong."""
  rng = np.random.default_rng(0)
  classes = rng.integers(0, 2, (4, 3, *SHAPE), dtype=np.uint8)
  classes[:] = classes[:, :1]
  for exemplar in range(3):
    classes[:, exemplar, exemplar, 0] ^= 1
  return ImageClasses.stack(list(classes))


@pytest.fixture(scope='module')
def module():
  return zoo.build('statistician', 'small', SHAPE, **tiny.FIELDS)


@pytest.fixture(scope='module')
def start(module):
  example = jnp.zeros((3, *SHAPE))
  return training.init_state(module, CONFIG, example, jax.random.key(0))


@pytest.fixture(scope='module')
def step(module):
  return jax.jit(training.make_train_step(module, CONFIG))


@pytest.fixture(scope='module')
def trained(step, start, dataset):
  """(states, metrics) of the 40 steps, the first state being `start`."""
  states, rows = [start], []
  for _ in range(CONFIG.steps):
    state, metrics = step(states[-1], dataset, jax.random.key(1))
    states.append(state)
    rows.append(jax.device_get(metrics))
  return states, rows


# --- a step


def test_training_raises_the_bound(trained):
  bounds = np.array([metrics['bound'] for metrics in trained[1]])
  # Guessing every pixel costs 25 log 2 = 17.3 nats.
  assert bounds[:5].mean() < -15
  assert bounds[-5:].mean() > bounds[:5].mean() + 2


def test_the_loop_compiles_once(step, trained):
  assert len(trained[1]) > 3
  assert step._cache_size() == 1


def test_steps_are_counted(trained):
  assert [int(state.step) for state in trained[0]] == list(range(41))


def test_the_same_seed_gives_the_same_bits(step, dataset, trained):
  states, rows = trained
  state, metrics = step(states[7], dataset, jax.random.key(1))
  chex.assert_trees_all_equal(state, states[8])
  chex.assert_trees_all_equal(metrics, rows[7])


def test_another_step_draws_other_episodes_and_noise(step, dataset, trained):
  start = trained[0][0]
  later = start.replace(step=jnp.int32(1))
  first, second = (
    step(state, dataset, jax.random.key(1))[1]['bound']
    for state in (start, later)
  )
  assert first != second


def test_average_is_exponential_and_starts_as_a_mean(trained):
  states = trained[0]
  average = np.asarray(jax.tree.leaves(states[0].params)[-1], float)
  for n, state in enumerate(states[1:]):
    decay = min(CONFIG.ema_decay, (n + 1) / (n + 10))
    params = np.asarray(jax.tree.leaves(state.params)[-1], float)
    average = decay * average + (1 - decay) * params
    np.testing.assert_allclose(
      jax.tree.leaves(state.averaged)[-1], average, rtol=1e-4, atol=1e-6
    )
  assert (abs(average - params) > 1e-4).any()


def test_learning_rate_warms_up_and_decays_to_zero():
  optimiser = training.make_optimiser(CONFIG)
  params = {'w': jnp.zeros(3)}
  # Adam moves by the learning rate while the gradient stays the same.
  gradient, state, moves = {'w': jnp.ones(3)}, optimiser.init(params), []
  update = jax.jit(optimiser.update)
  for _ in range(CONFIG.steps + 1):
    updates, state = update(gradient, state)
    moves.append(-float(updates['w'][0]))
  moves = np.array(moves)
  rate = CONFIG.learning_rate
  np.testing.assert_allclose(
    moves[:6], rate * np.arange(6) / 5, atol=1e-3 * rate
  )
  assert moves.argmax() == 5
  assert (np.diff(moves[5:]) < 0).all()
  assert moves[-1] < 1e-3 * rate


def test_going_on_takes_up_the_learning_rate_of_the_step():
  """Adam's first step is as long as it, whatever the gradient."""
  config = dataclasses.replace(
    CONFIG, steps=100, warmup_steps=10, learning_rate=0.5
  )
  optimiser, params = training.make_optimiser(config), {'w': jnp.zeros(2)}
  fresh = training.TrainState(
    jnp.int32(0), params, params, optimiser.init(params)
  )
  learned = {'w': jnp.ones(2)}
  state = training.go_on(fresh, learned, 55)
  assert int(state.step) == 55
  chex.assert_trees_all_equal(state.params, learned)
  chex.assert_trees_all_equal(state.averaged, learned)
  gradient = {'w': jnp.array([0.1, -3.0])}
  update, _ = optimiser.update(gradient, state.opt_state)
  # Half of the decay is over at 55, the middle of 10 and 100.
  np.testing.assert_allclose(update['w'], [-0.25, 0.25], rtol=1e-5)


def test_gradients_are_clipped():
  config = dataclasses.replace(CONFIG, clip_norm=1.0)
  clip = training.make_optimiser(config)
  params = {'w': jnp.zeros(2)}

  def moments(size):
    gradient = {'w': size * jnp.array([3.0, 4.0])}
    _, state = clip.update(gradient, clip.init(params))
    return digest(state)

  assert moments(1.0) == moments(100.0)  # norms 5 and 500
  assert moments(0.1) != moments(0.01)  # norms 0.5 and 0.05


# --- the objective


def ask(module, start, dataset, config, step=None):
  x = dataset.images[0].astype(jnp.float32)
  value, metrics = jax.jit(
    lambda params: objective(module, config, params, x, jax.random.key(3), step)
  )(start.params)
  return float(value), jax.device_get(metrics)


def test_both_gradients_belong_to_one_value(module, start, dataset):
  values = [
    ask(
      module,
      start,
      dataset,
      dataclasses.replace(CONFIG, gradient=gradient, num_samples=3),
    )
    for gradient in ('dreg', 'plain')
  ]
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), *values
  )


def test_kl_terms_warm_up_in_training_and_count_fully_elsewhere(
  module, start, dataset
):
  config = dataclasses.replace(CONFIG, objective='elbo', kl_warmup=10)
  early, parts = ask(module, start, dataset, config, jnp.int32(0))
  # Nor are objects dropped elsewhere, so that the parts are others.
  full, whole = ask(module, start, dataset, config)
  for bound, terms, weight in ((early, parts, 0.1), (full, whole, 1.0)):
    kl = terms['kl_local'] + terms['kl_context']
    assert kl > 0
    expected = terms['log_likelihood'] - weight * kl
    assert bound == pytest.approx(expected, rel=1e-4)


def test_validation_ignores_augmentation(module, start, dataset):
  def validate(config):
    check = jax.jit(training.make_validation(module, config))
    return check(start.params, dataset, jax.random.key(2))

  changed = dataclasses.replace(
    CONFIG, dihedral=True, dilation=True, shift=True, affine=True
  )
  chex.assert_trees_all_equal(validate(CONFIG), validate(changed))
