"""What the compiler must not get wrong."""

import jax
import numpy as np
import pytest

from gen1shot import allocation, compilation, zoo


def test_reductions_of_many_products_are_right():
  a = jax.random.uniform(jax.random.key(0), (40, 3))
  x = jax.random.normal(jax.random.key(1), (1200, 40, 3))

  def reduce(a, x):
    return ((a - 1) * x).sum(-1) - a[:, 0]

  compiled = compilation.jit(reduce)(a, x)
  np.testing.assert_allclose(compiled, reduce(a, x), rtol=1e-4, atol=1e-5)


def test_steps_of_painters_have_options_of_their_own(monkeypatch):
  asked = []
  monkeypatch.setattr(jax, 'jit', lambda _, **options: asked.append(options))
  for name in ('draw', 'sequential', 'vae'):
    compilation.jit_step(zoo.build(name, 'small', (28, 28, 1)), abs)
  draw, sequential, vae = asked
  assert draw == sequential == {'compiler_options': compilation._RIGHT}
  assert vae == {'compiler_options': {}}
  monkeypatch.setattr(allocation, 'keeps_memory', lambda: True)
  compilation.jit_step(zoo.build('vae', 'small', (28, 28, 1)), abs)
  assert asked[-1] == {'compiler_options': compilation._BLOCKS}


@pytest.mark.parametrize(
  ('model', 'preset', 'fields', 'expected'),
  [
    ('statistician', 'small', {}, [1, 10, 10]),
    ('gmn', 'fc', {}, [1, 10, 10]),
    ('neural_lm', 'small', {}, [1, 10, 10]),
    ('statistician', 'paper', {}, [1, 1, 1]),
    ('vae', 'conv', {}, [1, 1, 1]),
    ('sequential', 'small', {'canvas': 'gated'}, [1, 1, 1]),
  ],
)
def test_programs_of_many_steps_do_not_convolve(
  model, preset, fields, expected, monkeypatch
):
  """On CPU they are of ten, if ten fit; on accelerators, of all that do."""
  shape = () if model == 'neural_lm' else (28, 28, 1)
  module = zoo.ZOO[model].module(
    shape, **zoo.module_fields(model, preset, fields)
  )
  fitting = (9, 10, 500)
  found = [compilation.steps_at_once(module, most) for most in fitting]
  assert found == expected
  monkeypatch.setattr(jax, 'default_backend', lambda: 'tpu')
  found = [compilation.steps_at_once(module, most) for most in fitting]
  assert found == [9, 10, 100]


def test_evaluations_are_in_float32_where_products_are_not(monkeypatch):
  """As on accelerators, whose training steps take what products they like."""
  monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
  module = zoo.build('vae', 'small', (28, 28, 1))
  x = np.ones((3, 3), np.float32)

  def square(x):
    return x @ x

  evaluation = compilation.jit(square).lower(x).as_text()
  step = compilation.jit_step(module, square).lower(x).as_text()
  assert 'HIGHEST' in evaluation
  assert 'HIGHEST' not in step
