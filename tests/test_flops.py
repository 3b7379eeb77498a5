"""Operations are counted as on paper, and as XLA counts where it can."""

import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn

from benchmarks import flops

B, IN, HIDDEN, OUT = 64, 200, 300, 10


def xla(function, *args):
  return jax.jit(function).lower(*args).compile().cost_analysis()['flops']


def test_a_product():
  a, b = jnp.ones((7, 20, 30)), jnp.ones((7, 30, 50))
  expected = 2 * 7 * 20 * 30 * 50
  assert flops.of_function(jnp.matmul, a, b) == expected
  assert xla(jnp.matmul, a, b) == expected


def test_a_dense_model_and_its_gradient():
  """Two layers: forward, then weights of both and the input of the second."""
  model = nn.Sequential([nn.Dense(HIDDEN), nn.relu, nn.Dense(OUT)])
  x = jnp.ones((B, IN))
  params = model.init(jax.random.key(0), x)

  def loss(params):
    return (model.apply(params, x) ** 2).sum()

  first, second = 2 * B * IN * HIDDEN, 2 * B * HIDDEN * OUT
  assert flops.of_function(loss, params) == first + second
  gradient = jax.grad(loss)
  expected = 2 * first + 3 * second
  assert flops.of_function(gradient, params) == expected
  # which adds what is done number by number
  assert expected < xla(gradient, params) < 1.03 * expected


@pytest.mark.parametrize('padding', ['SAME', 'VALID'])
@pytest.mark.parametrize('stride', [1, 2])
def test_convolutions_and_their_gradients(stride, padding):
  def convolve(x, kernel):
    return jax.lax.conv_general_dilated(
      x,
      kernel,
      (stride, stride),
      padding,
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )

  x, kernel = jnp.ones((4, 14, 14, 8)), jnp.ones((3, 3, 8, 6))
  forward = flops.of_function(convolve, x, kernel)
  assert forward == xla(convolve, x, kernel)
  if padding == 'VALID':
    side = 12 // stride
    assert forward == 2 * 4 * side * side * 3 * 3 * 8 * 6
  for argument in (0, 1):
    gradient = jax.grad(lambda *args: convolve(*args).sum(), argument)
    assert flops.of_function(gradient, x, kernel) == 2 * forward


def test_a_loop_counts_as_often_as_it_runs():
  """Once to XLA: this is why we count."""
  w = jnp.ones((20, 20))

  def loop(x):
    return jax.lax.scan(lambda x, _: (x @ w, None), x, length=9)[0]

  once = 2 * 20**3
  assert flops.of_function(loop, w) == 9 * once
  assert flops.of_function(loop, w, loops=False) == once
  assert xla(loop, w) < 1.5 * once
  # forward, and the product with w in the way back
  gradient = jax.grad(lambda x: loop(x).sum())
  assert flops.of_function(gradient, w) >= 18 * once


def test_of_two_branches_the_larger_counts():
  w = jnp.ones((20, 20))

  def branch(x):
    return jax.lax.cond(x[0, 0] > 0, lambda x: x @ w @ w, lambda x: x @ w, x)

  assert flops.of_function(branch, w) == 4 * 20**3
