"""Eight devices compute what one does."""

import dataclasses
import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from test_models import TINY
from tiny import CONFIG, rows_of

from experiments.configs import get_config
from gen1shot import compilation, parallel, runs, training, zoo
from gen1shot.data.documents import Documents
from gen1shot.data.episodes import EpisodeSpec, ImageClasses, blank_objects
from gen1shot.evaluation import likelihood
from gen1shot.evaluation.classification import accuracy

pytestmark = pytest.mark.usefixtures('eight_devices')
N = 8  # devices
B = 10  # episodes: some devices have two, some one and some none


def image_classes():
  rng = np.random.default_rng(0)
  images = rng.integers(0, 2, (5, 4, 28, 28, 1), np.uint8)
  return ImageClasses.stack(list(images))


def documents():
  rng = np.random.default_rng(0)
  return Documents.stack([rng.integers(0, 7, n) for n in (6, 0, 3, 9)], 7)


def small(name):
  """A training of a tiny model."""
  known = zoo.module_fields(name, 'small')
  return dataclasses.replace(
    get_config(name, 'small'),
    fields={k: v for k, v in TINY.items() if k in known},
    batch_size=B,
    episode_length=3,
    eval_episodes=B,
    kl_warmup=0,
    warmup_steps=0,
  )


def assert_close(found, expected, tolerance=1e-5):
  """Leaf by leaf, relative to the largest number of the leaf."""

  def check(a, b):
    a, b = np.asarray(a), np.asarray(b)
    np.testing.assert_allclose(
      a, b, rtol=0, atol=tolerance * max(abs(b).max(), 1e-3)
    )

  jax.tree.map(check, found, expected)


@pytest.mark.parametrize('name', zoo.ZOO)
def test_a_step_of_every_model_equals_that_of_one_device(name):
  """Metrics, and Adam's moments: a tenth of the gradient."""
  config = small(name)
  dataset = documents() if name in zoo.of_kind('words') else image_classes()
  module = zoo.build(name, 'small', dataset.object_shape, **config.fields)
  key = jax.random.key(0)
  example = blank_objects(dataset.kind, dataset.object_shape, 3)
  state = training.init_state(module, config, example, key)
  answers = []
  for axis_name in (None, parallel.AXIS):
    step = training.make_train_step(module, config, axis_name)
    step = jax.jit(step) if axis_name is None else parallel.spread(step)
    state_after, metrics = step(state, dataset, key)
    answers.append((optimiser_means(state_after), metrics))
  assert len(jax.tree.leaves(answers[1])[0].devices()) == N
  assert_close(answers[1], answers[0])
  assert np.isfinite(float(answers[0][1]['bound']))


def optimiser_means(state):
  """Leaf by leaf, so that small ones are compared as closely as large ones."""
  (row,) = [
    leaf
    for path, leaf in jax.tree_util.tree_leaves_with_path(state.opt_state)
    if '.mu' in jax.tree_util.keystr(path)
  ]
  _, shaped = ravel_pytree(state.params)
  return jax.tree.leaves(shaped(row))


@pytest.fixture(scope='module')
def statistician():
  return build('statistician')


def build(name, **fields):
  dataset = image_classes()
  config = small(name)
  module = zoo.build(name, 'small', (28, 28, 1), **config.fields | fields)
  example = jnp.zeros((3, 28, 28, 1))
  state = training.init_state(module, config, example, jax.random.key(0))
  noise = np.random.default_rng(1)
  params = jax.tree.map(
    lambda leaf: leaf + 0.1 * noise.normal(size=leaf.shape).astype('f4'),
    state.params,
  )
  return module, config, params, dataset


def test_validation_equals_that_of_one_device(statistician):
  module, config, params, dataset = statistician
  key = jax.random.key(3)
  alone = jax.jit(training.make_validation(module, config))
  spread = parallel.spread(
    training.make_validation(module, config, parallel.AXIS)
  )
  assert_close(spread(params, dataset, key), alone(params, dataset, key))


def test_collectives_combine_what_devices_compute(statistician):
  """The program has them, and one sums what differs from device to device."""
  module, config, params, dataset = statistician
  validate = training.make_validation(module, config, parallel.AXIS)
  args = (params, dataset, jax.random.key(3))
  text = jax.jit(parallel.spread(validate)).lower(*args).as_text()
  assert 'all_reduce' in text

  seen = parallel.spread(
    lambda x: parallel.total(
      x * (jax.lax.axis_index(parallel.AXIS) + 1.0), parallel.AXIS
    )
  )
  assert float(seen(jnp.float32(1))) == N * (N + 1) / 2


def test_gradients_meet_as_one_row(statistician):
  """Devices meet once for them, and for each figure of the metrics."""
  module, config, params, dataset = statistician
  key = jax.random.key(0)
  state = training.init_state(module, config, jnp.zeros((3, 28, 28, 1)), key)
  step = training.make_train_step(module, config, parallel.AXIS)
  _, metrics = jax.eval_shape(parallel.spread(step), state, dataset, key)
  text = jax.jit(parallel.spread(step)).lower(state, dataset, key).as_text()
  sums = re.findall(r'all_reduce.*?-> tensor<(.*?)>$', text, re.M | re.S)
  size = sum(leaf.size for leaf in jax.tree.leaves(params))
  assert sums.count(f'{size}xf32') == 1
  assert set(sums) == {f'{size}xf32', 'f32'}
  assert len(sums) == len(metrics)  # the norm of the gradient is not summed


@pytest.mark.parametrize('B', [1, 7, 8, 20])
def test_every_key_of_a_batch_counts_once(B):
  keys = jnp.arange(B)

  def ours(keys):
    mine, weights = parallel.share(keys, parallel.AXIS)
    hits = jnp.zeros(B).at[mine].add(weights)
    return parallel.total(hits, parallel.AXIS)

  np.testing.assert_allclose(parallel.spread(ours)(keys), 1 / B, rtol=1e-6)


# --- one large set


SETS = {
  'statistician': {},
  'gmn': {},
  'maxima': {'name': 'statistician', 'pooling': 'mean_and_max'},
}


@pytest.mark.parametrize('model', SETS)
@pytest.mark.parametrize('masked', [False, True])
def test_a_set_spread_over_devices_is_encoded_as_on_one(model, masked):
  module, _, params, _ = build(**{'name': model} | SETS[model])
  # 21 objects: three devices would be too many for some, eight do not divide.
  support = jax.random.bernoulli(jax.random.key(1), 0.3, (21, 28, 28, 1)) * 1.0
  mask = jnp.arange(21) % 3 > 0 if masked else None
  key = jax.random.key(2)

  def ask(params, support, mask, key, axis_name):
    variables = {'params': params}
    return module.apply(
      variables, support, mask, axis_name, method='embed'
    ), module.apply(
      variables,
      support,
      4,
      mask,
      axis_name,
      method='predict',
      rngs={'sample': key},
    )

  alone = jax.jit(lambda *args: ask(*args, None))
  spread = parallel.spread_set(lambda *args: ask(*args, parallel.AXIS))
  found = spread(params, support, mask, key)
  assert len(found[1].devices()) == N
  assert_close(found, alone(params, support, mask, key))


@pytest.mark.parametrize('model', SETS)
def test_gradients_of_a_spread_set_are_those_of_one_device(model):
  module, _, params, _ = build(**{'name': model} | SETS[model])
  support = jax.random.bernoulli(jax.random.key(1), 0.3, (24, 28, 28, 1)) * 1.0

  def loss(params, support, mask, axis_name):
    q = module.apply(
      {'params': params}, support, mask, axis_name, method='embed'
    )
    return (q.mean**2 + q.logvar).sum()

  def spread_gradient(params, support, mask):
    # psum hands each device the gradient of all n equal losses.
    grads = jax.grad(loss)(params, support, mask, parallel.AXIS)
    return jax.lax.pmean(grads, parallel.AXIS)

  expected = jax.jit(lambda p, s: jax.grad(loss)(p, s, None, None))
  found = parallel.spread_set(spread_gradient)(params, support)
  assert_close(found, expected(params, support), 1e-4)


# --- whole runs


def test_a_run_on_eight_devices_equals_that_on_one(tmp_path, monkeypatch):
  """Its losses and validations, and what is kept of it."""
  config = dataclasses.replace(
    CONFIG, steps=6, log_every=2, eval_every=3, eval_episodes=5
  )

  def train(folder):
    return runs.train_and_evaluate(config, folder), rows_of(folder)

  spread, rows = train(tmp_path / 'spread')
  with monkeypatch.context() as patch:
    patch.setattr(parallel, 'axis_name', lambda: None)
    alone, expected = train(tmp_path / 'alone')
  assert len(rows) == len(expected) == 6
  for row, other in zip(rows, expected, strict=True):
    assert row.pop('part') == other.pop('part')
    assert row == pytest.approx(other, rel=1e-4)
  assert_close(spread.averaged, alone.averaged, 1e-3)
  chex.assert_trees_all_equal(
    runs.load_run(tmp_path / 'spread').params, spread.averaged
  )


def test_many_steps_as_one_program_are_the_same_steps(tmp_path, monkeypatch):
  """Three, as on accelerators, and ten; some records fall in between."""
  monkeypatch.setattr(parallel, 'axis_name', lambda: None)
  config = dataclasses.replace(
    CONFIG, steps=13, log_every=11, eval_every=12, eval_episodes=2
  )
  found = []
  for name, at_once in {
    'ten': compilation.steps_at_once,
    'three': lambda _, most: min(3, most),
    'one': lambda *_: 1,
  }.items():
    monkeypatch.setattr(compilation, 'steps_at_once', at_once)
    state = runs.train_and_evaluate(config, tmp_path / name)
    found.append((state.averaged, rows_of(tmp_path / name)))
  *found, (one, rows) = found
  for many, others in found:
    assert_close(many, one, 1e-4)
    assert len(rows) == len(others) == 5
    for row, other in zip(rows, others, strict=True):
      assert row['part'] == other['part']
      del other['part']
      expected = {name: row[name] for name in other}
      assert other == pytest.approx(expected, rel=1e-4)


def test_an_evaluation_equals_that_of_one_device(statistician, monkeypatch):
  """Of ten episodes, two devices have one more than the others."""
  module, _, params, dataset = statistician

  def evaluate():
    spec = EpisodeSpec(B, 2)
    key = jax.random.key(4)
    found = likelihood.estimate(module, params, dataset, spec, 3, key)
    shares = accuracy(
      module,
      params,
      dataset,
      rule='kl',
      ways=3,
      shots=1,
      tasks=9,
      num_samples=1,
      key=key,
    )
    return found, shares

  spread = evaluate()
  monkeypatch.setattr(parallel, 'axis_name', lambda: None)
  alone = evaluate()
  assert spread[0].predictive.shape == (B, 2)
  assert spread[1].shape == (9,)
  assert_close(spread, alone)
