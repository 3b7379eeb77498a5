"""Samples are computed in chunks that fit; the chunks change nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from gen1shot import zoo
from gen1shot.evaluation import likelihood, memory
from gen1shot.training import init_state

K = 12
SHAPE = (5, 5, 1)


class Device:
  """One that says so much about its memory."""

  def __init__(self, stats):
    self.stats = stats

  def memory_stats(self):
    return self.stats


@pytest.mark.parametrize(
  ('stats', 'expected'),
  [
    (None, 128 * 2**20),
    ({'bytes_in_use': 5}, 128 * 2**20),
    ({'bytes_limit': 1000, 'bytes_in_use': 200}, 400),
  ],
)
def test_room_is_half_of_what_an_accelerator_has_free(
  monkeypatch, stats, expected
):
  monkeypatch.setattr(jax, 'local_devices', lambda: [Device(stats)])
  assert memory.room() == expected


@pytest.fixture
def fitted(monkeypatch):
  """Gives the sizes tried and the program, for so much room.

  Of a program that needs ten kilobytes of temporaries a sample, or a few more.
  """

  def fit(room, num_samples):
    monkeypatch.setattr(memory, 'room', lambda: room)
    tried = []

    def function(x, at_once):
      tried.append(at_once)

      def sample(i):
        # sorted: an array that no fusion can leave out
        return jnp.sort(x[:2500] * i).sum()

      return jax.lax.map(sample, jnp.arange(num_samples), batch_size=at_once)

    program = memory.compile_to_fit(function, num_samples, jnp.ones(2500))
    return tried, program

  return fit


def test_all_samples_at_once_where_they_fit(fitted):
  tried, program = fitted(10**9, 100)
  assert tried == [100]
  assert program(jnp.ones(2500)).shape == (100,)


@pytest.mark.parametrize('num_samples', [100, 97])
@pytest.mark.parametrize('samples', [3, 30, 80])
def test_chunks_shrink_until_they_fit(fitted, num_samples, samples):
  room = samples * 11_000
  tried, program = fitted(room, num_samples)
  assert program.memory_analysis().temp_size_in_bytes <= room
  assert tried == sorted(set(tried), reverse=True)
  # and no further than equal chunks have to
  assert samples / 2 < tried[-1] <= samples


def test_one_sample_is_computed_however_large_it_is(fitted):
  tried, program = fitted(1, 7)
  assert tried[-1] == 1
  np.testing.assert_allclose(program(jnp.ones(2500)), 2500 * np.arange(7))


@pytest.mark.parametrize('method', ['log_weights', 'joint_log_weights'])
def test_figures_do_not_depend_on_the_chunks(method, key):
  module = zoo.build('statistician', 'small', SHAPE, **tiny.FIELDS)
  x = jax.random.bernoulli(key, 0.2, (3, *SHAPE)).astype(jnp.float32)
  state = init_state(module, tiny.CONFIG, x, key)

  @jax.jit
  def figures(params):
    return [
      likelihood.weigh(module, params, x, method, K, key, at_once)
      for at_once in (K, 5, 1)
    ]

  whole, *others = figures(state.params)
  for chunked in others:
    for figure, expected in zip(chunked, whole, strict=True):
      np.testing.assert_allclose(figure, expected, rtol=1e-5)
  log_mean_exp, mean = whole
  assert (log_mean_exp > mean + 1e-3).all()  # K samples that differ
