"""Floating point operations of matrix products and convolutions.

XLA's own count (`cost_analysis`) takes the body of a loop once, however often
it runs. This one reads the program before it is compiled, where the length of a
scan is known. A loop of unknown length counts once here, too.
"""

import math

import jax
import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn, jaxprs_in_params


def matrix_flops(jaxpr: Jaxpr, loops: bool = True) -> int:
  """Of a program: 2 M N K a product; without `loops` as if all ran once."""
  return sum(_flops(eqn, loops) for eqn in jaxpr.eqns)


def _flops(eqn: JaxprEqn, loops: bool) -> int:
  name = eqn.primitive.name
  if name == 'dot_general':
    (contracted, _), _ = eqn.params['dimension_numbers']
    shape = eqn.invars[0].aval.shape
    terms = math.prod(shape[axis] for axis in contracted)
    return 2 * eqn.outvars[0].aval.size * terms
  if name == 'rows_times_matrix':  # gen1shot/nn/rows.py
    return 2 * eqn.outvars[0].aval.size * eqn.invars[0].aval.shape[-1]
  if name == 'conv_general_dilated':
    return _convolution(eqn)
  inner = [matrix_flops(sub, loops) for sub in jaxprs_in_params(eqn.params)]
  if name == 'cond':
    return max(inner)
  return sum(inner) * (eqn.params['length'] if loops and name == 'scan' else 1)


def _convolution(eqn: JaxprEqn) -> int:
  """What falls on padding or between dilated numbers does not count."""
  inputs, kernel = (variable.aval.shape for variable in eqn.invars)
  (outputs,) = (variable.aval.shape for variable in eqn.outvars)
  p = eqn.params
  lhs, rhs, out = p['dimension_numbers']
  pairs = 1
  for i, (low, _) in enumerate(p['padding']):
    steps = p['window_strides'][i] * np.arange(outputs[out[2 + i]])
    taps = p['rhs_dilation'][i] * np.arange(kernel[rhs[2 + i]])
    places = steps[:, None] + taps - low
    apart = p['lhs_dilation'][i]
    inside = (places >= 0) & (places <= apart * (inputs[lhs[2 + i]] - 1))
    pairs *= int((inside & (places % apart == 0)).sum())
  return 2 * outputs[out[0]] * outputs[out[1]] * kernel[rhs[1]] * pairs


def of_function(function, *args, loops: bool = True) -> int:
  """Of a call of a function, which need not be compiled."""
  return matrix_flops(jax.make_jaxpr(function)(*args).jaxpr, loops)
