"""What holds of every episode, mask and bound that there may be."""

import functools

import hypothesis
import hypothesis.extra.numpy as arrays
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from hypothesis import strategies as st
from questions import streams

from gen1shot import bounds, zoo
from gen1shot.data import augment
from gen1shot.data.documents import Documents
from gen1shot.data.episodes import (
  EpisodeSpec,
  ImageClasses,
  sample_distinct,
  sample_episode,
  sample_episodes,
)
from gen1shot.distributions import DiagGaussian, kl

# Shapes are few, because each is compiled; what fills them is not.
examples = hypothesis.settings(
  derandomize=True, deadline=None, max_examples=30, database=None
)
SEEDS = st.integers(0, 2**31 - 1)
N, E, SMALLEST = 6, 9, 5  # classes, exemplars of the largest and the smallest
SPECS = {
  'one object': EpisodeSpec(3, 1),
  'one class': EpisodeSpec(3, SMALLEST),
  'three classes': EpisodeSpec(3, SMALLEST, 3),
  'all classes': EpisodeSpec(3, SMALLEST, N),
  'views': EpisodeSpec(3, SMALLEST, 2, dihedral=True),
  'with replacement': EpisodeSpec(3, 2 * E, 2, replacement=True),
}
SIZES = st.lists(st.integers(SMALLEST, E), min_size=N, max_size=N)


@functools.cache
def sampler(name):
  return jax.jit(lambda key, data: sample_episodes(key, data, SPECS[name]))


def images_of(sizes):
  """1x1 images that tell class and exemplar; padding tells on itself."""
  images = np.full((N, E, 1, 1, 1), 255, np.uint8)
  for class_id, size in enumerate(sizes):
    images[class_id, :size, 0, 0, 0] = E * class_id + np.arange(size)
  return ImageClasses(jnp.asarray(images), jnp.asarray(sizes), SMALLEST)


@pytest.mark.parametrize('name', SPECS)
@examples
@hypothesis.given(seed=SEEDS, sizes=SIZES)
def test_episodes_are_what_their_spec_says(name, seed, sizes):
  spec = SPECS[name]
  drawn = jax.device_get(sampler(name)(jax.random.key(seed), images_of(sizes)))
  views = augment.NUM_VIEWS if spec.dihedral else 1
  assert drawn.mask is None
  for objects, labels, starts in zip(
    drawn.objects, drawn.labels, drawn.starts, strict=True
  ):
    identities = objects.ravel()
    classes, exemplars = np.divmod(identities, E)
    assert (labels >= 0).all()
    assert (labels < N * views).all()
    assert 1 <= len(set(labels)) <= spec.max_classes
    np.testing.assert_array_equal(classes, labels // views)
    assert (exemplars < np.array(sizes)[labels // views]).all()  # no padding
    if not spec.replacement:
      assert len(set(zip(labels, identities, strict=True))) == spec.length
    np.testing.assert_array_equal(starts, np.arange(spec.length) == 0)


@functools.cache
def row_of_sets():
  spec = EpisodeSpec(1, SMALLEST, 1)
  return jax.jit(lambda *args: sample_episode(*args[:2], spec, *args[2:]))


@examples
@hypothesis.given(seed=SEEDS, sizes=SIZES, length=st.integers(1, SMALLEST))
def test_sets_in_a_row_share_no_class(seed, sizes, length):
  key, data = jax.random.key(seed), images_of(sizes)
  drawn = jax.device_get(row_of_sets()(key, data, jnp.int32(length)))
  which = np.arange(SMALLEST) // length
  np.testing.assert_array_equal(drawn.starts, np.diff(which, prepend=-1) > 0)
  same = which[:, None] == which
  np.testing.assert_array_equal(drawn.labels[:, None] == drawn.labels, same)


@functools.cache
def distinct(k):
  return jax.jit(lambda key, n: sample_distinct(key, n, k))


@examples
@hypothesis.given(
  seed=SEEDS, k=st.sampled_from([1, 7]), more=st.integers(0, 10**6)
)
def test_distinct_numbers_are_distinct_and_in_range(seed, k, more):
  chosen = np.asarray(distinct(k)(jax.random.key(seed), jnp.int32(k + more)))
  assert len(set(chosen)) == k
  assert chosen.min() >= 0
  assert chosen.max() < k + more


TOTAL, T = 30, 6
passages = jax.jit(
  lambda key, data: sample_episodes(key, data, EpisodeSpec(4, T))
)


@examples
@hypothesis.given(
  seed=SEEDS, cuts=st.lists(st.integers(0, TOTAL), min_size=4, max_size=4)
)
def test_passages_are_words_in_order_and_masked_behind_the_end(seed, cuts):
  """Of documents of any length, also of none."""
  ends = np.array([*sorted(cuts), TOTAL])
  offsets = np.array([0, *ends[:-1]])
  data = Documents(
    jnp.arange(TOTAL),
    jnp.asarray(offsets, jnp.int32),
    jnp.asarray(ends - offsets, jnp.int32),
    TOTAL,
    0,
  )
  drawn = jax.device_get(passages(jax.random.key(seed), data))
  for words, labels, mask in zip(
    drawn.objects, drawn.labels, drawn.mask, strict=True
  ):
    (label,) = set(labels)
    size = ends[label] - offsets[label]
    np.testing.assert_array_equal(mask, np.arange(T) < min(size, T))
    assert (words >= 0).all()
    assert (words < TOTAL).all()
    seen = words[mask]
    assert (np.diff(seen) == 1).all()
    assert ((offsets[label] <= seen) & (seen < ends[label])).all()


# --- bounds

FINITE = st.floats(-(2.0**96), 2.0**96, width=32)
K, D = 5, 3
WEIGHTS = arrays.arrays(np.float32, (K, T), elements=FINITE)


@examples
@hypothesis.given(weights=WEIGHTS)
def test_a_bound_is_between_the_mean_and_the_largest_weight(weights):
  """At every prefix: more samples never make it looser than one."""
  bound = np.asarray(bounds.iwae(jnp.asarray(weights)), np.float64)
  assert np.isfinite(bound).all()
  exact = weights.astype(np.float64)
  slack = 1e-5 * (1 + abs(exact).max(0))
  assert (exact.mean(0) - slack <= bound).all()
  assert (bound <= exact.max(0) + slack).all()
  assert (exact.max(0) - np.log(K) - slack <= bound).all()


@jax.jit
def doubly_reparameterised(weights):
  def bound(scale):
    return bounds.dreg(
      lambda scale: scale * weights,
      lambda scale, latents: latents,
      lambda scale, latents: 0.5 * latents,
      scale,
    ).sum()

  return jax.value_and_grad(bound)(1.0)


@examples
@hypothesis.given(
  weights=arrays.arrays(
    np.float32, (K, T), elements=st.floats(-1e6, 1e6, width=32)
  )
)
def test_a_gradient_of_finite_weights_is_finite(weights):
  value, gradient = doubly_reparameterised(weights)
  np.testing.assert_allclose(
    value, bounds.iwae(0.5 * weights).sum(), rtol=1e-5, atol=1e-3
  )
  assert np.isfinite(gradient)


TERMS = arrays.arrays(np.float32, (2, T), elements=st.floats(0, 1e6, width=32))
ANY = st.floats(width=32, allow_nan=True, allow_infinity=True)


@examples
@hypothesis.given(
  terms=TERMS,
  context=st.floats(0, 1e6, width=32),
  mask=arrays.arrays(bool, T),
  garbage=ANY,
  free=st.floats(0, 1e3, width=32),
  weight=st.floats(0, 1, width=32),
)
def test_what_is_masked_does_not_reach_a_bound(
  terms, context, mask, garbage, free, weight
):
  loss, kl = np.where(mask, terms, np.float32(garbage))
  bound = bounds.Bound(-loss, kl, jnp.float32(context)).where(mask)
  elbo = float(bound.elbo())
  expected = -terms[:, mask].astype(np.float64).sum() - context
  np.testing.assert_allclose(elbo, expected, rtol=1e-5, atol=1e-3)
  slack = 1e-5 * (1 + abs(expected))
  assert float(bound.elbo(1.0, free)) <= elbo + slack
  assert float(bound.elbo(weight)) >= elbo - slack


@examples
@hypothesis.given(
  moments=arrays.arrays(
    np.float32, (2, D), elements=st.floats(-20, 20, width=32)
  ),
  others=arrays.arrays(
    np.float32, (2, D), elements=st.floats(-20, 20, width=32)
  ),
)
def test_a_divergence_is_finite_and_not_negative(moments, others):
  q, p = DiagGaussian(*moments), DiagGaussian(*others)
  divergence = np.asarray(kl(q, p), np.float64)
  assert np.isfinite(divergence).all()
  assert (divergence >= -1e-3).all()
  np.testing.assert_allclose(kl(q, q), 0, atol=1e-3)


# --- models


@functools.cache
def asked(name):
  """(the terms of a bound, log weights) of tiny models of 4x4 images."""
  fields = (
    tiny.TINY
    if name == 'statistician'
    else {
      field: value for field, value in tiny.TINY.items() if field != 'c_dim'
    }
  )
  module = zoo.build(name, 'small', (4, 4, 1), **fields)
  x = jnp.zeros((T, 4, 4, 1))
  params = jax.jit(
    lambda: module.init(streams(jax.random.key(0)), x, method='bound')
  )()

  def ask(x, mask, key):
    rngs = streams(key)
    bound = module.apply(params, x, mask, method='bound', rngs=rngs)
    return bound, module.apply(params, x, K, method='log_weights', rngs=rngs)

  return jax.jit(ask)


@pytest.mark.parametrize('name', ['statistician', 'vae'])
@examples
@hypothesis.given(
  seed=SEEDS,
  x=arrays.arrays(np.float32, (T, 4, 4, 1), elements=st.floats(0, 1, width=32)),
  mask=arrays.arrays(bool, T),
)
def test_a_model_answers_any_images_and_mask_with_finite_terms(
  name, seed, x, mask
):
  key = jax.random.key(seed)
  bound, weights = asked(name)(x, mask, key)
  for term in (bound.log_likelihood, bound.kl_local, bound.kl_context, weights):
    assert np.isfinite(term).all()
  assert not np.asarray(bound.log_likelihood)[~mask].any()
  assert not np.asarray(bound.kl_local)[~mask].any()
  assert (np.asarray(bound.log_likelihood) <= 0).all()  # of binary images
  one, many = weights.mean(0), bounds.iwae(weights)
  assert (many >= one - 1e-3).all()
  # What does not count is not looked at.
  other, _ = asked(name)(
    np.where(mask[:, None, None, None], x, 1 - x), mask, key
  )
  np.testing.assert_allclose(other.elbo(), bound.elbo(), rtol=1e-5, atol=1e-4)
