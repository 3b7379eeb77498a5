"""Texts of the neural language model: word by word, with one latent."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from lm_loop import Loop, V, grid, integral, make
from odds import P_VALUE

K = 10_000


@pytest.fixture(scope='module', params=['gru', 'lstm'])
def lm(request):
  return make(request.param)


@pytest.fixture(scope='module', params=['gru', 'lstm'])
def line(request):
  """With a latent on a line; its integrals are sums."""
  return make(request.param, z_dim=1)


def test_decoded_words_are_the_likeliest_after_each_other(lm):
  z = 2 * jax.random.normal(jax.random.key(4), (20, 2))
  found = lm.module.apply({'params': lm.params}, z, 6, method='decode')
  assert found.dtype == jnp.int32
  loop, expected = Loop(lm), []
  state = loop.begin(z)
  for _ in range(6):
    expected.append(loop.log_p(state).argmax(-1))
    state = loop.write(state, expected[-1], z)
  np.testing.assert_array_equal(found, jnp.stack(expected, 1))
  # Both z and the words before make a difference.
  assert len({text.tobytes() for text in np.asarray(found)}) > 1
  assert (found != found[:, :1]).any()


@pytest.mark.parametrize(('x', 'mask'), [([1, 2], None), ([0, 1], [False] * 2)])
def test_composed_words_go_on_with_one_latent(line, x, mask):
  """Both words of a text of two, as often as the integral over z says."""
  mask = None if mask is None else np.array(mask)
  texts = np.asarray(line('compose', x, K, mask))
  assert texts.shape == (K, 2)
  assert texts.dtype == np.int32
  seen = x if mask is None else []
  loop = Loop(line)
  z = jnp.asarray(grid(*loop.posterior(seen)), jnp.float32)
  _, state = loop.read(seen, z)
  p = integral(
    jnp.stack(
      [
        loop.log_p(state)[:, [word]] + loop.log_p(loop.write(state, word, z))
        for word in range(V)
      ],
      1,
    )
  )
  assert p.sum() == pytest.approx(1, abs=1e-5)
  counts = np.bincount(texts @ [V, 1], minlength=V * V)
  chance = scipy.stats.chisquare(counts, K * p.ravel() / p.sum())
  assert chance.pvalue > P_VALUE
