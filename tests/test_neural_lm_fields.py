"""Fields of the neural language model: dropout, and what has no meaning."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from lm_loop import V, make
from odds import SIGMAS
from questions import streams

from gen1shot.errors import InputError
from gen1shot.models.neural_lm import NeuralLM

X = np.array([1, 2, 2, 0])


@pytest.fixture(scope='module', params=['gru', 'lstm'])
def lm(request):
  return make(request.param)


# --- dropout


def ask(module, lm, method, *args, **rngs):
  rngs = {name: jax.random.key(seed) for name, seed in rngs.items()}

  @jax.jit
  def answer(params, rngs):
    return module.apply({'params': params}, X, *args, method=method, rngs=rngs)

  return answer(lm.params, rngs)


def test_the_bound_drops_out_given_a_stream_to_draw_from(lm):
  whole = lm.module.clone(dropout=0.0)
  true = ask(whole, lm, 'bound', sample=0, dropout=1)
  still = ask(lm.module, lm, 'bound', sample=0)
  dropped = [
    ask(lm.module, lm, 'bound', sample=0, dropout=seed) for seed in (1, 2)
  ]
  jax.tree.map(np.testing.assert_array_equal, still, true)
  first, second = (bound.log_likelihood for bound in dropped)
  assert (first != second).any()
  assert (first != true.log_likelihood).any()
  for bound in dropped:  # q reads all
    assert bound.kl_context == true.kl_context


@pytest.mark.parametrize(
  'method', ['log_weights', 'joint_log_weights', 'predict']
)
def test_no_figure_drops_out(lm, method):
  np.testing.assert_array_equal(
    ask(lm.module, lm, method, 3, sample=0, dropout=1),
    ask(lm.module, lm, method, 3, sample=0),
  )


def test_what_stays_makes_up_for_what_is_dropped(lm):
  module, n = lm.module.clone(dropout=0.2), 10_000
  dropped = module.apply(
    {'params': lm.params},
    jnp.ones(n),
    method='_drop',
    rngs={'dropout': jax.random.key(0)},
  )
  assert set(np.asarray(dropped)) == {0.0, np.float32(1.25)}
  assert abs((dropped == 0).mean() - 0.2) < SIGMAS * (0.16 / n) ** 0.5


# --- fields


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    ({'cell': 'gruu'}, 'did you mean .gru.'),
    ({'z_dim': 0}, 'z_dim must be >= 1; got 0'),
    ({'hidden': 0}, 'hidden must be >= 1; got 0'),
    ({'encoder_hidden': 0}, 'encoder_hidden must be >= 1; got 0'),
    ({'embedding': 0}, 'embedding must be >= 1; got 0'),
    ({'dropout': 1.0}, r'dropout must be in \[0, 1\); got 1.0'),
    ({'dropout': -0.1}, r'got -0.1'),
  ],
)
def test_fields_without_meaning_are_refused(fields, message):
  module = NeuralLM((V,), **fields)
  with pytest.raises(InputError, match=message):
    module.init(
      streams(jax.random.key(0)), jnp.zeros(2, jnp.int32), method='bound'
    )
