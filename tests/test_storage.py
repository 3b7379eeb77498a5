"""Parameters in a file: rounded as promised, refused where they differ."""

import io
import pathlib

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen1shot import storage
from gen1shot.errors import InputError

PATH = pathlib.Path('weights.npz')


@pytest.fixture
def params(key):
  """Also of what is small for 16 bits, and exact in them."""
  wide = jax.random.normal(key, (40, 30)) * 10.0 ** jnp.linspace(-8, 3, 30)
  return {
    'net': {'kernel': wide, 'bias': jnp.array([0.0, -0.0, 65504.0])},
    'scale': jnp.float32(1 / 3),
  }


def read(content, like, dtype='float16'):
  return storage.decode(content, PATH, dtype, like)


@pytest.mark.parametrize('dtype', storage.DTYPES)
def test_what_is_read_is_what_was_written_rounded(params, dtype):
  back = read(storage.encode(params, dtype), params, dtype)
  chex.assert_trees_all_equal(
    back, jax.tree.map(lambda x: np.float32(np.asarray(x, dtype)), params)
  )
  assert jax.tree.all(jax.tree.map(lambda x: x.dtype == jnp.float32, back))
  equal = jax.tree.map(lambda a, b: bool((a == b).all()), back, params)
  assert jax.tree.all(equal) == (dtype == 'float32')


def test_rounding_moves_a_parameter_as_little_as_promised(params):
  back = read(storage.encode(params, 'float16'), params)
  x, y = (np.float64(tree['net']['kernel']) for tree in (params, back))
  assert (abs(x - y) <= np.maximum(abs(x) * 2.0**-11, 3e-8)).all()
  bfloat16 = np.float64(params['net']['kernel'].astype(jnp.bfloat16))
  normal = abs(x) > 1e-4
  assert abs(x - y)[normal].sum() * 4 < abs(x - bfloat16)[normal].sum()


def test_the_same_parameters_are_the_same_bytes(params):
  assert storage.encode(params, 'float16') == storage.encode(params, 'float16')


@pytest.mark.parametrize('value', [65536.0, -7e4, np.inf, np.nan])
def test_what_does_not_fit_is_refused(params, value):
  params['net']['bias'] = jnp.array([0.0, value])
  with pytest.raises(InputError, match=r'below 65,504 .* in net/bias'):
    storage.encode(params, 'float16')


def test_an_unknown_type_is_refused(params):
  with pytest.raises(InputError, match="did you mean 'float16'"):
    storage.encode(params, 'bfloat16')


def test_a_missing_parameter_is_named(params):
  content = storage.encode({'net': params['net']}, 'float16')
  with pytest.raises(InputError, match='lacks scale, 1 in all'):
    read(content, params)


def test_a_parameter_too_many_is_named(params):
  content = storage.encode(params, 'float16')
  with pytest.raises(InputError, match='adds scale, 1 in all'):
    read(content, {'net': params['net']})


def test_another_shape_is_refused(params):
  content = storage.encode(params, 'float16')
  params['net']['kernel'] = params['net']['kernel'].T
  with pytest.raises(
    InputError, match=r'net/kernel .* \[30, 40\].*; got float16 \[40, 30\]'
  ):
    read(content, params)


def test_another_type_is_refused(params):
  content = storage.encode(params, 'float32')
  with pytest.raises(InputError, match=r'must be float16 .*; got float32'):
    read(content, params)


def test_python_objects_are_refused():
  file = io.BytesIO()
  np.savez(file, scale=np.array([print]))
  with pytest.raises(InputError, match='without Python objects'):
    read(file.getvalue(), {'scale': jnp.zeros(1)})
