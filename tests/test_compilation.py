"""What the compiler must not get wrong."""

import jax
import numpy as np

from gen1shot import compilation, zoo


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
  assert vae == {}


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
