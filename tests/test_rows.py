"""Products of rows are those of the library, and sum over one axis."""

import functools
import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax.extend.core import jaxprs_in_params

from gen1shot import compilation
from gen1shot.nn.rows import Dense, product, saveable


def normal(seed, *shape):
  return jax.random.normal(jax.random.key(seed), shape)


def values(product, x, matrix):
  """A product, and first and second derivatives of a sum over it."""

  def loss(x, matrix):
    return jnp.sin(product(x, matrix)).sum()

  gradient = jax.grad(loss, (0, 1))
  tangents = jnp.cos(x), jnp.cos(matrix)
  return (
    product(x, matrix),
    gradient(x, matrix),
    jax.jvp(product, (x, matrix), tangents),
    jax.jvp(gradient, (x, matrix), tangents),
  )


@pytest.mark.parametrize('outputs', [2, 3, 9])
@pytest.mark.parametrize('lead', [(), (0,), (2,), (2, 1, 4)], ids=str)
def test_values_and_derivatives_are_those_of_matmul(lead, outputs):
  x, matrix = normal(0, *lead, 3), normal(1, 3, outputs)
  found = jax.jit(functools.partial(values, product))(x, matrix)
  expected = values(jnp.matmul, x, matrix)
  chex.assert_trees_all_close(found, expected, rtol=1e-5, atol=1e-5)
  chex.assert_trees_all_close(product(x, matrix), expected[0], rtol=1e-6)


@pytest.mark.parametrize(
  'axes',
  [(0, None), (1, None), (2, None), (None, 0), (None, 2), (0, 0), (1, 2)],
  ids=str,
)
@pytest.mark.parametrize('out', [0, 1])
def test_vmap_gives_what_it_gives_of_matmul(axes, out):
  of_x, of_matrix = axes
  x = normal(0, 4, 4, 4)  # 16 rows where the matrix is one, of 4 inputs
  matrix = jnp.moveaxis(normal(1, 4, 4, 3), 0, of_matrix or 0)
  arguments = x, matrix[0] if of_matrix is None else matrix
  if of_x is None:
    arguments = x[0], matrix

  def stacked(product):
    return jax.vmap(product, axes, out)

  found, expected = (
    values(stacked(function), *arguments) for function in (product, jnp.matmul)
  )
  chex.assert_trees_all_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_loop_that_is_computed_again_has_the_same_gradients():
  x, matrix = normal(0, 2, 6, 3), normal(1, 3, 3)

  def loss(product, x, matrix):
    @functools.partial(jax.checkpoint, policy=saveable)
    def step(x, _):
      return jnp.tanh(product(x, matrix)), None

    return jax.lax.scan(step, x, None, 4)[0].sum()

  found, expected = (
    jax.grad(functools.partial(loss, function), (0, 1))(x, matrix)
    for function in (product, jnp.matmul)
  )
  chex.assert_trees_all_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('specs', [('d', None), (None, None)], ids=str)
def test_shares_of_devices_give_the_gradients_of_matmul(specs):
  """Under `jax.shard_map`, which checks what differs from device to device."""
  mesh = jax.sharding.Mesh(np.array(jax.devices()[:2]), ('d',))
  in_specs = tuple(jax.sharding.PartitionSpec(axis) for axis in specs)

  def gradients(product):
    def loss(x, matrix):
      return jax.lax.pmean((product(x, matrix) ** 2).sum(), 'd')

    everywhere = jax.sharding.PartitionSpec()
    spread = jax.shard_map(
      loss, mesh=mesh, in_specs=in_specs, out_specs=everywhere
    )
    return jax.grad(spread, (0, 1))(normal(0, 4, 3), normal(1, 3, 2))

  chex.assert_trees_all_close(gradients(product), gradients(jnp.matmul))


@pytest.mark.parametrize(
  'types', [('bfloat16', 'float32'), ('float32', 'bfloat16'), ('int8', 'int32')]
)
def test_types_are_promoted(types):
  x, matrix = (jnp.ones((2, 3, 3), dtype)[i] for i, dtype in enumerate(types))
  found, expected = jax.jit(product)(x, matrix), jnp.matmul(x, matrix)
  chex.assert_trees_all_equal(found, expected)
  assert found.dtype == expected.dtype


def test_sizes_that_do_not_match_are_told():
  with pytest.raises(TypeError, match=r'got \(6, 4\) and \(5, 3\)'):
    jax.eval_shape(product, jnp.ones((6, 4)), jnp.ones((5, 3)))


def test_no_inputs_give_zeros():
  assert not product(jnp.ones((6, 0)), jnp.ones((0, 3))).any()


@pytest.mark.parametrize('backend', ['cpu', 'gpu'])
def test_the_policy_keeps_products(backend, monkeypatch):
  monkeypatch.setattr(jax, 'default_backend', lambda: backend)

  def count(policy):
    @functools.partial(jax.checkpoint, policy=policy)
    def loss(x, matrix):
      return jnp.sin(jnp.sin(product(x, matrix))).sum()

    gradient = jax.grad(loss, (0, 1))
    text = str(jax.make_jaxpr(gradient)(normal(0, 2, 3), normal(1, 3, 4)))
    return text.count('rows_times_matrix[') + text.count('dot_general[')

  assert count(saveable) == 3
  assert count(jax.checkpoint_policies.nothing_saveable) == 4


def products_in(jaxpr):
  """Of a program, those that XLA sees: (axes summed over, shape) each."""
  for eqn in jaxpr.eqns:
    if eqn.primitive.name == 'dot_general':
      (summed, _), _ = eqn.params['dimension_numbers']
      yield len(summed), eqn.outvars[0].aval.shape
    for inner in jaxprs_in_params(eqn.params):
      yield from products_in(inner)


def gradient_of_kernel(layer, inputs):
  """The one product in it, for 2 x 3 episodes of 4 x 5 rows."""
  x = normal(0, 2, 3, 4, 5, inputs)
  params = layer.init(jax.random.key(1), x)

  def loss(params):
    apply = jax.vmap(jax.vmap(layer.apply, (None, 0)), (None, 0))
    return apply(params, x).sum()  # linear: no product on the way forward

  *_, last = products_in(jax.make_jaxpr(jax.grad(loss))(params).jaxpr)
  return last


def test_the_gradient_of_a_matrix_sums_over_one_axis():
  assert gradient_of_kernel(nn.Dense(8, use_bias=False), 7)[0] == 4
  assert gradient_of_kernel(Dense(8, use_bias=False), 7) == (1, (7, 8))


def test_on_cpu_it_is_computed_wide_if_the_rows_are_many(monkeypatch):
  layer = Dense(8, use_bias=False)
  assert gradient_of_kernel(layer, 9) == (1, (8, 9))
  assert gradient_of_kernel(layer, 119) == (1, (8, 119))
  assert gradient_of_kernel(layer, 120) == (1, (120, 8))  # 120 rows
  monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
  assert gradient_of_kernel(layer, 9)[0] == 4  # as the library has it


@pytest.mark.parametrize('precise', [False, True])
def test_bits_are_those_of_where_it_was_traced(precise, monkeypatch):
  """On accelerators evaluations compute in full float32, trainings do not."""
  jit = compilation.jit if precise else jax.jit
  monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')

  def loss(x, matrix):
    return product(x, matrix).sum()

  step = jit(jax.value_and_grad(loss, (0, 1)))
  text = step.lower(normal(0, 2, 3), normal(1, 3, 4)).as_text()
  assert text.count('dot_general') == 3
  assert text.count('HIGHEST') == (6 if precise else 0)


def test_explicit_bits_are_those_of_all_three_products():
  loss = functools.partial(product, precision='highest')
  step = jax.jit(jax.value_and_grad(lambda *args: loss(*args).sum(), (0, 1)))
  text = step.lower(normal(0, 9, 3), normal(1, 3, 2)).as_text()
  assert text.count('HIGHEST') == 2 * text.count('dot_general') == 6


def test_dense_layers_have_the_names_and_parameters_of_flax():
  def parameters(layer):
    class Net(nn.Module):
      @nn.compact
      def __call__(self, x):
        return layer(4)(layer(3, name='named')(x))

    return Net().init(jax.random.key(0), jnp.ones((2, 5)))

  chex.assert_trees_all_equal(parameters(Dense), parameters(nn.Dense))


def test_no_rows_have_a_gradient_of_zero():
  gradient = jax.grad(lambda m: product(jnp.zeros((2, 0, 3)), m).sum())
  assert math.prod(gradient(jnp.ones((3, 4))).shape) == 12
  assert not gradient(jnp.ones((3, 4))).any()
