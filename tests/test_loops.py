"""Loops with one gradient of a matrix are those of Flax."""

import functools

import chex
import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn
from jax.extend.core import jaxprs_in_params

from gen1shot.nn import loops
from gen1shot.nn.rows import Dense
from gen1shot.precision import computing_in

STEPS, ROWS, H = 5, 4, 3
same = functools.partial(chex.assert_trees_all_close, rtol=1e-5, atol=1e-6)


class Cell(nn.Module):
  """Of dense layers, one of them called twice, and a parameter beside them."""

  own: bool  # whether the loop is ours

  def setup(self):
    self.state, self.out = Dense(H), Dense(2, use_bias=False)
    self.scale = self.param('scale', nn.initializers.ones, (H,))

  def __call__(self, begin, xs, given):
    if self.is_initializing():
      return self.step(begin, xs[0], given)
    if self.own:
      loop = loops.scan(
        Cell.step, self, begin, xs, (given,), jax.checkpoint, unroll=2
      )
    else:
      scan = nn.scan(
        Cell.step, variable_broadcast='params', in_axes=(0, nn.broadcast)
      )
      loop = scan(self, begin, xs, given)
    return loop

  def step(self, h, x, given):
    h = nn.tanh(self.state(h) + self.state(x * self.scale)) + given
    return h, {'out': self.out(h), 'none': None}


@pytest.fixture(scope='module')
def inputs():
  shapes = (ROWS, H), (STEPS, ROWS, H), (ROWS, H)
  keys = jax.random.split(jax.random.key(0), 3)
  args = tuple(map(jax.random.normal, keys, shapes))
  return Cell(own=True).init(jax.random.key(1), *args), args


def loss(params, args, own):
  h, told = Cell(own).apply(params, *args)
  return (h**3).sum() + jnp.sin(told['out']).sum(), (h, told)


def test_values_and_all_gradients_are_those_of_flax(inputs):
  """Of the first state, of what steps are handed and what they share, too."""
  both = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)
  same(*(both(*inputs, own) for own in (True, False)))


def test_they_are_among_episodes_and_forward(inputs):
  params, args = inputs
  episodes = jax.tree.map(lambda x: jnp.stack([x, -x, 2 * x]), args)

  def total(params, own):
    losses, _ = jax.vmap(loss, (None, 0, None))(params, episodes, own)
    return losses.mean()

  for of in (jax.grad, jax.jacfwd):
    same(
      *(jax.jit(of(total), static_argnums=1)(params, own) for own in (1, 0)),
    )


def test_second_derivatives_are_those_of_flax(inputs):
  params, args = inputs
  hessian = jax.jit(
    jax.hessian(lambda params, own: loss(params, args, own)[0]),
    static_argnums=1,
  )
  same(hessian(params, True), hessian(params, False))


def test_a_staged_loss_keeps_its_precision(inputs):
  """Where the derivative is traced after `computing_in` has ended."""
  params, args = inputs

  def lowered(params):
    with computing_in('bfloat16'):
      return loss(params, args, True)[0]

  gradient = jax.grad(lowered)(params)
  same(jax.grad(jax.jit(lowered))(params), gradient)
  full = jax.grad(lambda params: loss(params, args, True)[0])(params)
  with pytest.raises(AssertionError):
    same(gradient, full)


def test_matrices_may_be_held_fixed(inputs):
  params, args = inputs

  def of_scale(scale, own):
    frozen = {'params': params['params'] | {'scale': scale}}
    return loss(frozen, args, own)[0]

  same(*(jax.grad(of_scale)(jnp.ones(H), own) for own in (True, False)))


def products(jaxpr, rows):
  """How many products sum over so many rows, in loops as often as they run."""
  count = 0
  for eqn in jaxpr.eqns:
    if eqn.primitive.name == 'dot_general':
      (contracted, _), _ = eqn.params['dimension_numbers']
      count += eqn.invars[0].aval.shape[contracted[0]] == rows
    times = eqn.params['length'] if eqn.primitive.name == 'scan' else 1
    count += times * sum(
      products(inner, rows) for inner in jaxprs_in_params(eqn.params)
    )
  return count


def test_a_call_has_one_gradient_for_all_steps(inputs):
  """Of its matrix: three calls, in each of five steps."""

  def count(own, rows):
    gradient = jax.grad(functools.partial(loss, own=own), has_aux=True)
    return products(jax.make_jaxpr(gradient)(*inputs).jaxpr, rows)

  assert count(True, STEPS * ROWS) == 3
  assert count(True, ROWS) == 0
  assert count(False, ROWS) == 3 * STEPS
