"""Objectives of documents: per word that counts, KL terms, samples."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_words import Tiny, V

from gen1shot import bounds, training
from gen1shot.config import Config
from gen1shot.data.documents import Documents
from gen1shot.data.episodes import sample_episode
from gen1shot.errors import InputError
from gen1shot.objectives import check_objective, objective

T = 5
X = jnp.array([1, 3, 3, 0, 2])
MASK = jnp.array([True, True, False, True, False])
# Shorter than an episode, longer, as long, and empty.
TEXTS = [np.arange(size, dtype=np.int32) % V for size in (1, 9, 5, 0, 3)]
CONFIG = Config(
  model='lda',
  objective='elbo',
  batch_size=8,
  episode_length=T,
  eval_episodes=12,
  steps=4,
)
IWAE = dataclasses.replace(
  CONFIG, objective='iwae', gradient='plain', num_samples=3
)


@pytest.fixture(scope='module')
def lda():
  return Tiny('lda-gaussian')


def ask(model, config, step=None, mask=MASK, params=None):
  params = model.params if params is None else params
  key = jax.random.key(3)
  return objective(
    model.module, config, params, X, key, step, starts=None, mask=mask
  )


def test_the_module_says_that_its_objects_are_words(lda):
  """Whatever model the configuration names."""
  bound, _ = ask(lda, IWAE)
  other, _ = ask(lda, dataclasses.replace(IWAE, model='statistician'))
  assert bound == other


# --- nats per word that counts


@pytest.mark.parametrize('config', [CONFIG, IWAE], ids=['elbo', 'iwae'])
@pytest.mark.parametrize('name', ['unigram', 'lda-gaussian'])
def test_figures_of_a_batch_are_per_word_that_counts(name, config):
  model, documents = Tiny(name), Documents.stack(TEXTS, V)
  config = dataclasses.replace(config, model=name.split('-')[0])
  validate = jax.jit(training.make_validation(model.module, config))
  metrics = validate(model.params, documents, jax.random.key(5))

  @jax.jit
  def by_hand(key):
    """Nats of an episode, and how many words it has."""
    episode_key, noise_key = jax.random.split(key)
    episode = sample_episode(episode_key, documents, config.validation_episodes)
    value, parts = objective(
      model.module,
      config,
      model.params,
      episode.objects,
      noise_key,
      mask=episode.mask,
    )
    parts = parts | {'bound': value}
    return jax.tree.map(lambda v: T * v, parts), episode.mask.sum()

  episodes = [by_hand(key) for key in jax.random.split(jax.random.key(5), 12)]
  words = [int(size) for _, size in episodes]
  assert len(set(words)) > 2
  for name in metrics:
    nats = sum(float(parts[name]) for parts, _ in episodes)
    assert metrics[name] == pytest.approx(nats / sum(words), rel=1e-4)


def test_equal_words_have_the_bound_of_their_number():
  """Whatever the lengths: a mean of means would be nearer to 0."""
  unigram = Tiny('unigram')
  unigram.params['log_frequencies'] = jnp.full(V, -jnp.log(V))
  config = dataclasses.replace(CONFIG, model='unigram')
  metrics = training.make_validation(unigram.module, config)(
    unigram.params, Documents.stack(TEXTS, V), jax.random.key(0)
  )
  assert metrics['bound'] == pytest.approx(-np.log(V), rel=1e-5)


def test_training_learns_from_words_that_count(lda):
  """The gradient is that of the sum over words by the number of words."""
  texts = [np.array([1, 3, 0], np.int32)]
  step = training.make_train_step(lda.module, CONFIG)
  state = training.init_state(lda.module, CONFIG, X, jax.random.key(0))
  state = state.replace(params=lda.params, averaged=lda.params)
  key = jax.random.key(1)
  _, metrics = jax.jit(step)(state, Documents.stack(texts, V), key)
  keys = jax.random.split(jax.random.fold_in(key, 0), 8)

  @jax.jit
  @jax.grad
  def gradient(params):
    def one(key):
      x = jnp.array([1, 3, 0])
      noise = jax.random.split(key)[1]
      return objective(lda.module, CONFIG, params, x, noise, jnp.int32(0))[0]

    return jax.vmap(one)(keys).mean()

  squares = [(leaf**2).sum() for leaf in jax.tree.leaves(gradient(lda.params))]
  norm = float(sum(squares) ** 0.5)
  assert metrics['gradient_norm'] == pytest.approx(norm, rel=1e-4)


# --- KL terms


def value_and_gradient(lda, config, step):
  """Of the objective, and what it was made of."""

  def value(params):
    return ask(lda, config, step, params=params)

  return jax.jit(jax.value_and_grad(value, has_aux=True))(lda.params)


def reconstruction(lda):
  """The gradient of the likelihood alone."""

  def value(params):
    return ask(lda, CONFIG, params=params)[1]['log_likelihood']

  return jax.jit(jax.grad(value))(lda.params)


def differ(a, b):
  distance = jax.tree.map(lambda a, b: abs(a - b).max(), a, b)
  return float(max(jax.tree.leaves(distance)))


def test_free_bits_take_the_kl_out_of_the_gradient(lda):
  step = jnp.int32(0)
  free = dataclasses.replace(CONFIG, free_bits=100.0)
  (value, parts), gradient = value_and_gradient(lda, free, step)
  assert 0 < parts['kl_context'] < 100 / T
  expected = parts['log_likelihood'] - 100 / T
  assert value == pytest.approx(float(expected), rel=1e-5)
  assert differ(gradient, reconstruction(lda)) < 1e-6
  (_, _), all_of_it = value_and_gradient(lda, CONFIG, step)
  assert differ(gradient['encoder'], all_of_it['encoder']) > 1e-2


def test_free_bits_that_are_spent_change_nothing(lda):
  step = jnp.int32(0)
  free = dataclasses.replace(CONFIG, free_bits=1e-3)
  (value, parts), gradient = value_and_gradient(lda, free, step)
  assert parts['kl_context'] > 1e-3 / T
  (expected, _), without = value_and_gradient(lda, CONFIG, step)
  assert value == expected
  assert differ(gradient, without) == 0


def test_the_true_bound_has_no_free_bits_nor_warmup(lda):
  config = dataclasses.replace(CONFIG, free_bits=100.0, kl_warmup=10)
  value, parts = ask(lda, config)
  assert value == ask(lda, CONFIG)[0]
  expected = parts['log_likelihood'] - parts['kl_context']
  assert value == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize('free_bits', [0.0, 100.0])
@pytest.mark.parametrize(
  ('step', 'weight'), [(0, 0.1), (4, 0.5), (9, 1.0), (50, 1.0)]
)
def test_the_kl_and_its_free_bits_warm_up(lda, step, weight, free_bits):
  config = dataclasses.replace(CONFIG, kl_warmup=10, free_bits=free_bits)
  value, parts = ask(lda, config, jnp.int32(step))
  cost = free_bits / T if free_bits else float(parts['kl_context'])
  expected = float(parts['log_likelihood']) - weight * cost
  assert value == pytest.approx(expected, rel=1e-5)


def test_dropout_is_for_training_alone():
  model = Tiny('lm-gru')
  config = dataclasses.replace(CONFIG, model='neural_lm')
  whole = ask(model, config)[0]
  assert ask(model, config, jnp.int32(0))[0] != whole
  model.module = model.module.clone(dropout=0.0)
  assert ask(model, config, jnp.int32(0))[0] == whole


# --- importance samples


@pytest.mark.parametrize('name', ['lda-dirichlet', 'lm-lstm', 'unigram'])
@pytest.mark.parametrize('mask', [None, MASK], ids=['all', 'masked'])
def test_iwae_bounds_the_joint_probability(name, mask):
  model = Tiny(name)
  model_name = 'neural_lm' if name == 'lm-lstm' else name.split('-')[0]
  config = dataclasses.replace(IWAE, model=model_name)
  value, _ = ask(model, config, mask=mask)
  # The first of the streams of an objective is that of the samples.
  key = jax.random.split(jax.random.key(3))[0]
  weights = model.ask('joint_log_weights', model.params, X, 3, mask, key=key)
  assert weights.shape[0] == 3
  expected = bounds.iwae(weights).sum() / T
  assert value == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize('name', ['unigram', 'lda-gaussian', 'lm-gru'])
def test_dreg_is_refused(name):
  module = Tiny(name).module
  config = dataclasses.replace(IWAE, model='lda', gradient='dreg')
  with pytest.raises(InputError, match=r'^gradient=dreg .*lda') as error:
    check_objective(module, config)
  assert '\n' not in str(error.value)
  with pytest.raises(InputError, match='gradient=plain'):
    training.make_train_step(module, config)
  check_objective(module, IWAE)
  check_objective(module, dataclasses.replace(config, objective='elbo'))


@pytest.mark.parametrize('field', ['free_bits', 'kl_warmup'])
def test_kl_terms_of_importance_samples_are_refused(field):
  with pytest.raises(InputError, match=f'{field} goes with objective=elbo'):
    dataclasses.replace(IWAE, **{field: 2})


def test_negative_free_bits_are_refused():
  with pytest.raises(InputError, match=r'free_bits must be >= 0; got -1\.0'):
    dataclasses.replace(CONFIG, free_bits=-1.0)
