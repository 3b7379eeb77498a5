"""The unigram model: its closed form, and that no better parameters exist."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from odds import SIGMAS

from gen1shot import training
from gen1shot.config import Config
from gen1shot.data.documents import Documents
from gen1shot.errors import InputError
from gen1shot.models.unigram import Unigram

V = 6
TEXTS = [np.array(text, np.int32) for text in ([0, 2, 2, 5], [], [2, 1, 0])]
WORDS = np.concatenate(TEXTS).astype(int)
COUNTS = np.array([2, 1, 3, 0, 0, 1])


def fitted(smoothing):
  words = jnp.asarray(WORDS)
  params = Unigram((V,), smoothing=smoothing).fit(words)
  return params['log_frequencies']


@pytest.mark.parametrize('smoothing', [1.0, 0.01, 30.0])
def test_frequencies_are_smoothed_counts(smoothing):
  expected = (COUNTS + smoothing) / (7 + V * smoothing)
  np.testing.assert_allclose(jnp.exp(fitted(smoothing)), expected, rtol=1e-5)


@pytest.mark.parametrize('smoothing', [1.0, 0.01])
def test_the_closed_form_is_a_stationary_point(smoothing):
  """Of the likelihood of the words and of `smoothing` more of each."""

  def log_likelihood(logits):
    log_p = jax.nn.log_softmax(logits)
    return log_p[WORDS].sum() + smoothing * log_p.sum()

  at = fitted(smoothing)
  np.testing.assert_allclose(jax.grad(log_likelihood)(at), 0.0, atol=1e-5)
  # and elsewhere it is not 0
  assert abs(jax.grad(log_likelihood)(at.at[0].add(0.1))).max() > 1e-2


@pytest.mark.parametrize('smoothing', [0.0, -1.0, float('nan')])
def test_smoothing_of_nothing_is_refused(smoothing):
  with pytest.raises(InputError, match='smoothing must be > 0; got'):
    fitted(smoothing)


@pytest.fixture(scope='module')
def states():
  """The states before and after each of three steps of training."""
  config = Config(
    model='unigram', objective='elbo', batch_size=4, episode_length=3, steps=9
  )
  module = Unigram((V,), smoothing=0.5)
  documents = Documents.stack(TEXTS, V)
  step = jax.jit(training.make_train_step(module, config))
  states = [
    training.init_state(module, config, jnp.zeros(3, int), jax.random.key(0))
  ]
  for _ in range(3):
    state, metrics = step(states[-1], documents, jax.random.key(1))
    assert jnp.isfinite(metrics['bound'])
    states.append(state)
  return states


def test_before_training_all_words_are_as_likely(states):
  log_frequencies = states[0].params['log_frequencies']
  np.testing.assert_allclose(jnp.exp(log_frequencies), 1 / V, rtol=1e-6)


def test_every_step_of_training_is_the_closed_form(states):
  assert [int(state.step) for state in states] == [0, 1, 2, 3]
  for state in states[1:]:
    for params in (state.params, state.averaged):
      np.testing.assert_array_equal(params['log_frequencies'], fitted(0.5))


def test_the_bound_is_the_log_likelihood():
  module, at = Unigram((V,)), fitted(1.0)
  params = {'params': {'log_frequencies': at}}
  mask = np.array([True, False, True, True])
  log_p = np.log((COUNTS + 1) / (7 + V))[TEXTS[0]]
  for given, counts in ((mask, mask), (None, 1.0)):
    bound = module.apply(params, TEXTS[0], given, method='bound')
    weights = module.apply(params, TEXTS[0], 3, given, method='log_weights')
    joint = module.apply(params, TEXTS[0], 3, given, method='joint_log_weights')
    for row in (bound.log_likelihood, *weights, *joint):
      np.testing.assert_allclose(row, log_p * counts, rtol=1e-5)
    assert bound.elbo() == pytest.approx((log_p * counts).sum(), rel=1e-5)
    assert bound.kl_context == 0


def test_composed_words_have_their_frequencies():
  module = Unigram((V,))
  params = {'params': {'log_frequencies': fitted(1.0)}}
  n = 20_000
  texts = module.apply(
    params,
    jnp.zeros(2, int),
    n,
    method='compose',
    rngs={'sample': jax.random.key(0)},
  )
  assert texts.shape == (n, 2)
  p = (COUNTS + 1) / (7 + V)
  expected = np.outer(p, p)  # the two words are independent
  found = np.zeros((V, V))
  np.add.at(found, tuple(np.asarray(texts).T), 1 / n)
  assert (
    abs(found - expected) < SIGMAS * (expected * (1 - expected) / n) ** 0.5
  ).all()
