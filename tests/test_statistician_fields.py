"""Fields of the neural statistician: shapes of answers, refusals."""

import jax
import jax.numpy as jnp
import pytest
from questions import streams
from tiny import TINY

from gen1shot.errors import InputError
from gen1shot.models.statistician import Statistician

T = 5


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
