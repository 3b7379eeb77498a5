"""Parameters as one .npz file without pickle: an array for each leaf.

A leaf is named by its path, `encoder/Dense_0/kernel`, and rounded to the type
of storage, float16 unless told otherwise: of the types of two bytes it loses
least. Its 11 bits move a parameter by 2^-11 of itself at most, the 8 of
bfloat16 by 2^-8; below 6.1e-5 the error is 3e-8 at most, which no sum notices;
what is above 65,504 is refused. NumPy has it, too, and has no bfloat16.
"""

import io
from importlib.resources.abc import Traversable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from gen1shot.bounds import Params
from gen1shot.data import npz
from gen1shot.errors import InputError, check_choice

DTYPES = ('float16', 'float32')
_LAYOUT = 'the parameters of a model'
_NAMED = 3  # leaves that a message names


def encode(params: Params, dtype: str) -> bytes:
  """The content of a file that `decode` reads; the same params, the same bytes.

  Raises:
    InputError: an unknown type, or a parameter that it cannot hold.
  """
  check_choice('dtype', dtype, DTYPES)
  arrays = {}
  for name, leaf in _flat(jax.device_get(params)).items():
    with np.errstate(over='ignore'):
      arrays[name] = leaf.astype(dtype)
    if not np.isfinite(arrays[name]).all():
      raise InputError(
        f'parameters must be below {np.finfo(dtype).max:,.0f} to be stored as '
        f'{dtype}; got {abs(leaf).max()} in {name}'
      )
  file = io.BytesIO()
  np.savez_compressed(file, **arrays)
  return file.getvalue()


def decode(content: bytes, path: Traversable, dtype: str, like: Any) -> Params:
  """The parameters in a file, float32.

  Args:
    content: of the file.
    path: of the file, for messages.
    dtype: the type of storage.
    like: a tree of what has names and shapes; the file must have the same.

  Raises:
    InputError: it is damaged, or of other leaves, shapes or types.
  """
  arrays = npz.read_arrays(path, _LAYOUT, content)
  expected = _flat(like)
  for what, names in (
    ('that the module has; it lacks', expected.keys() - arrays.keys()),
    ('of the module alone; it adds', arrays.keys() - expected.keys()),
  ):
    if names:
      shown = ', '.join(sorted(names)[:_NAMED])
      raise InputError(
        f'{path} must hold the parameters {what} {shown}, {len(names)} in all'
      )
  for name, leaf in expected.items():
    found = arrays[name]
    if (found.shape, found.dtype) != (leaf.shape, np.dtype(dtype)):
      raise InputError(
        f'{name} in {path} must be {dtype} {list(leaf.shape)}, as in the '
        f'module; got {found.dtype} {list(found.shape)}'
      )
  floats = {name: jnp.float32(array) for name, array in arrays.items()}
  return unflatten_dict(floats, sep='/')


def _flat(tree: Any) -> dict[str, Any]:
  return flatten_dict(tree, sep='/')
