"""Every model of the zoo, tiny: its answers to every question."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from presets import PRESETS, SHAPE, T, init, shape
from questions import streams

from gen1shot import zoo
from gen1shot.errors import InputError

K = 2  # samples
TINY = {
  'width': 8,
  'encoder_depth': 1,
  'decoder_depth': 1,
  'mlp_depth': 1,
  'features': 32,  # the mixer's vectors are divided among 16 tokens
  'hidden': 8,
  'c_dim': 32,
  'z_dim': 16,
  'match_size': 8,
  'recurrent_steps': 2,
}


@dataclasses.dataclass
class Tiny:
  """A model of one preset's kind."""

  module: object
  params: object

  def questions(self):
    """name -> a function of (params, x, key), one for each question."""

    def ask(method, *args):
      def answer(params, x, key):
        return self.module.apply(
          params, x, *args, method=method, rngs=streams(key)
        )

      return answer

    return {
      'bound': ask('bound'),
      'log_weights': ask('log_weights', K),
      'joint_log_weights': ask('joint_log_weights', K),
      'predict': ask('predict', K),
      'embed': ask('embed'),
    }

  def all(self, params, x, key):
    """Every question at once: one compilation."""
    return {
      name: answer(params, x, key) for name, answer in self.questions().items()
    }


@pytest.fixture(
  scope='module', params=PRESETS, ids=lambda preset: '-'.join(preset)
)
def tiny(request):
  name, preset = request.param
  known = zoo.module_fields(name, preset)
  fields = {k: v for k, v in TINY.items() if k in known}
  scale = 0.3
  if known.get('nets') == 'residual':
    # Nothing normalises there: larger parameters saturate the controllers.
    fields['features'], scale = known['features'], 0.1
  module = zoo.build(name, preset, shape(name, preset), **fields)
  shapes = jax.eval_shape(lambda: init(module))
  rng = np.random.default_rng(0)
  noise = jax.tree.map(lambda leaf: scale * rng.normal(size=leaf.shape), shapes)
  return Tiny(module, jax.tree.map(jnp.float32, noise))


@pytest.fixture(scope='module')
def episodes(tiny):
  shape = (2, T, *tiny.module.observation_shape)
  if tiny.module.observation == 'gaussian':
    return jax.random.normal(jax.random.key(1), shape)
  return jax.random.bernoulli(jax.random.key(1), 0.3, shape) * 1.0


@pytest.fixture(scope='module')
def answers(tiny, episodes):
  return jax.jit(tiny.all)(tiny.params, episodes[0], jax.random.key(0))


def assert_close(a, b):
  # float32 sums over 784 pixels, in another order
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), a, b
  )


def test_answers_have_their_shapes_and_are_finite(tiny, answers):
  bound, q_c = answers['bound'], answers['embed']
  assert bound.log_likelihood.shape == bound.kl_local.shape == (T,)
  assert bound.kl_context.shape == ()
  assert answers['log_weights'].shape == (K, T)
  # The factors of the joint: one a set, or one an object.
  assert answers['joint_log_weights'].shape in ((K, 1), (K, T))
  assert answers['predict'].shape == (K, *tiny.module.observation_shape)
  assert q_c.mean.shape == q_c.logvar.shape
  for leaf in jax.tree.leaves(answers):
    assert leaf.dtype == jnp.float32
    assert jnp.isfinite(leaf).all()


def test_divergences_are_positive(answers):
  assert (answers['bound'].kl_local > 0).all()
  # 0 for the models without a context
  assert answers['bound'].kl_context >= 0


def test_means_of_binary_images_are_probabilities(tiny, answers):
  if tiny.module.observation != 'bernoulli':
    return
  assert answers['predict'].min() >= 0
  assert answers['predict'].max() <= 1


def test_no_support_is_legal(tiny):
  empty = jnp.zeros((0, *tiny.module.observation_shape))
  for method in ('predict', 'embed'):
    answer = jax.eval_shape(
      tiny.questions()[method], tiny.params, empty, jax.random.key(0)
    )
    assert all(leaf.size for leaf in jax.tree.leaves(answer))


def test_answers_are_the_same_under_jit_or_not(tiny, episodes, answers):
  bound = tiny.questions()['bound']
  assert_close(
    answers['bound'], bound(tiny.params, episodes[0], jax.random.key(0))
  )


def test_vmap_over_episodes_is_a_loop_over_episodes(tiny, episodes, answers):
  keys = jax.random.split(jax.random.key(2))
  keys = keys.at[0].set(jax.random.key(0))
  together = jax.jit(jax.vmap(tiny.all, (None, 0, 0)))(
    tiny.params, episodes, keys
  )
  assert_close(jax.tree.map(lambda leaf: leaf[0], together), answers)
  # and the second episode was not taken for the first
  assert (together['embed'].mean[0] != together['embed'].mean[1]).any()


@pytest.mark.parametrize('objective', ['elbo', 'log_weights'])
def test_every_parameter_is_trained(tiny, episodes, objective):
  def loss(params):
    questions = tiny.questions()
    key = jax.random.key(0)
    if objective == 'elbo':
      return questions['bound'](params, episodes[0], key).elbo()
    return questions['log_weights'](params, episodes[0], key).sum()

  gradients = jax.jit(jax.grad(loss))(tiny.params)
  for path, leaf in jax.tree_util.tree_leaves_with_path(gradients):
    assert jnp.isfinite(leaf).all(), jax.tree_util.keystr(path)
    assert leaf.any(), jax.tree_util.keystr(path)


def test_what_is_masked_may_hold_anything(tiny, episodes):
  x = episodes[0]
  mask = jnp.arange(T) != 1
  rngs = streams(jax.random.key(0))

  @jax.jit
  def ask(x):
    def elbo(params):
      bound = tiny.module.apply(params, x, mask, method='bound', rngs=rngs)
      return bound.elbo()

    def embedded(params):
      return tiny.module.apply(params, x, mask, method='embed').mean.sum()

    drawn = tiny.module.apply(
      tiny.params, x, K, mask, method='predict', rngs=rngs
    )
    told = (jax.value_and_grad(f)(tiny.params) for f in (elbo, embedded))
    return drawn, *told

  jax.tree.map(np.testing.assert_array_equal, ask(x), ask(x.at[1].set(jnp.nan)))


def test_embeddings_are_not_random(tiny, episodes):
  ask = jax.jit(lambda x: tiny.module.apply(tiny.params, x, method='embed'))
  q = ask(episodes[0])
  assert jnp.isfinite(q.mean).all()


@pytest.mark.parametrize('name', zoo.of_kind('images'))
def test_sizes_below_one_are_refused(name):
  for field in ('hidden', 'z_dim'):
    module = zoo.build(name, 'small', SHAPE, **{field: 0})
    with pytest.raises(InputError, match=f'{field} must be >= 1; got 0'):
      jax.eval_shape(lambda module=module: init(module))
