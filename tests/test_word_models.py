"""Every model of words, tiny: its answers to every question."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_words import MODELS, Tiny, V

from gen1shot import zoo

T, S = 4, 3  # words, samples
TEXTS = jnp.array([[1, 3, 3, 0], [2, 0, 1, 2]])
MASKS = jnp.array([[True, False, True, True], [True, True, False, False]])
ARGS = {
  'bound': (),
  'log_weights': (S,),
  'joint_log_weights': (S,),
  'predict': (S,),
  'embed': (),
  'compose': (S,),
}


@pytest.fixture(scope='module', params=MODELS)
def model(request):
  return Tiny(request.param)


def ask_all(model, params, x, mask, key):
  """Every question at once: one compilation."""
  return {
    method: model.ask(method, params, x, *args, mask, key=key)
    for method, args in ARGS.items()
  }


@pytest.fixture(scope='module')
def ask(model):
  """Every question about a text, under a mask."""
  compiled = jax.jit(lambda *args: ask_all(model, *args))
  return lambda x, mask: compiled(model.params, x, mask, jax.random.key(0))


@pytest.fixture(scope='module')
def answers(ask):
  return ask(TEXTS[0], MASKS[0])


def assert_close(a, b):
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), a, b
  )


def test_every_model_of_words_is_here():
  modules = {kind for kind, _ in MODELS.values()}
  assert modules == {zoo.ZOO[name].module for name in zoo.of_kind('words')}


def test_answers_have_their_shapes_and_are_finite(model, answers):
  bound, q = answers['bound'], answers['embed']
  assert bound.log_likelihood.shape == bound.kl_local.shape == (T,)
  assert bound.kl_context.shape == ()
  assert answers['log_weights'].shape == (S, T)
  # The factors of the joint: one a text, or one a word.
  factors = T if hasattr(model.module, 'fit') else 1
  assert answers['joint_log_weights'].shape == (S, factors)
  assert answers['predict'].shape == (S, V)
  assert answers['compose'].shape == (S, T)
  assert q.mean.shape == q.logvar.shape
  assert q.mean.ndim == 1
  for method, answer in answers.items():
    for leaf in jax.tree.leaves(answer):
      assert leaf.dtype == (jnp.int32 if method == 'compose' else jnp.float32)
      assert jnp.isfinite(leaf).all()


def test_predictions_are_probabilities_and_texts_are_words(answers):
  assert (answers['predict'] > 0).all()
  np.testing.assert_allclose(answers['predict'].sum(-1), 1.0, rtol=1e-5)
  assert ((answers['compose'] >= 0) & (answers['compose'] < V)).all()


def test_words_that_do_not_count_have_no_figures(answers):
  for figure in (answers['bound'].log_likelihood, answers['log_weights']):
    assert (figure[..., MASKS[0]] != 0).all()
    np.testing.assert_array_equal(figure[..., ~MASKS[0]], 0.0)
  np.testing.assert_array_equal(answers['bound'].kl_local, 0.0)


def test_a_latent_costs_something(model, answers):
  latent = answers['embed'].mean.size > 0
  assert latent == (not hasattr(model.module, 'fit'))
  assert (answers['bound'].kl_context > 0) == latent


def test_samples_differ_where_something_is_latent(model, answers):
  if answers['embed'].mean.size:
    for method in ('log_weights', 'joint_log_weights', 'predict'):
      first, second, *_ = answers[method]
      assert (first != second).any()


@pytest.mark.parametrize('method', ['bound', 'log_weights'])
def test_all_words_count_without_a_mask(model, ask, method):
  everything = ask(TEXTS[0], jnp.ones(T, bool))
  assert_close(model(method, TEXTS[0], *ARGS[method]), everything[method])


def test_what_does_not_count_may_be_any_word(ask, answers):
  jax.tree.map(
    np.testing.assert_array_equal, ask(TEXTS[0].at[1].set(2), MASKS[0]), answers
  )


def test_answers_are_the_same_under_jit_or_not(model, answers):
  bound = model.ask(
    'bound', model.params, TEXTS[0], MASKS[0], key=jax.random.key(0)
  )
  assert_close(bound, answers['bound'])


def test_vmap_over_documents_is_a_loop_over_documents(model, answers):
  keys = jnp.stack([jax.random.key(0), jax.random.key(9)])
  many = jax.vmap(lambda *args: ask_all(model, *args), (None, 0, 0, 0))
  together = jax.jit(many)(model.params, TEXTS, MASKS, keys)
  assert_close(jax.tree.map(lambda leaf: leaf[0], together), answers)
  # and the second document was not taken for the first
  log_likelihood = together['bound'].log_likelihood
  assert (log_likelihood[0] != log_likelihood[1]).any()


@pytest.mark.parametrize(
  'question', ['elbo', 'log_weights', 'joint_log_weights']
)
def test_every_parameter_is_trained(model, question):
  def value(params):
    if question == 'elbo':
      bound = model.ask(
        'bound', params, TEXTS[0], MASKS[0], key=jax.random.key(0)
      )
      return bound.elbo()
    return model.ask(
      question, params, TEXTS[0], S, MASKS[0], key=jax.random.key(0)
    ).sum()

  gradients = jax.jit(jax.grad(value))(model.params)
  for path, leaf in jax.tree_util.tree_leaves_with_path(gradients):
    assert jnp.isfinite(leaf).all(), jax.tree_util.keystr(path)
    assert leaf.any(), jax.tree_util.keystr(path)


def test_no_support_is_legal(model):
  assert model('predict', [], S).shape == (S, V)
  assert model('compose', [], S).shape == (S, 0)
  q = model('embed', [])
  assert jnp.isfinite(q.mean).all()


def test_embeddings_are_not_random(model, answers):
  again = model.module.apply(
    {'params': model.params}, TEXTS[0], MASKS[0], method='embed'
  )
  assert_close(again, answers['embed'])
