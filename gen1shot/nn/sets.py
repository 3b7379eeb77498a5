"""Pooling over the objects of a set, and over all its prefixes at once.

Shapes: T objects, F features. A mask is boolean [T], True where an object
counts; None means that all do.
"""

import jax
import jax.numpy as jnp


def masked_mean(
  features: jax.Array, mask: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
  """Mean over the objects of a set: ([F], count []); an empty set gives 0."""
  means, counts = prefix_means(features, mask)
  return means[-1], counts[-1]


def prefix_means(
  features: jax.Array, mask: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
  """Means over x_<t for t = 0..T in one pass.

  Args:
    features: [T, F].
    mask: boolean [T] or None.

  Returns:
    Means [T + 1, F] and counts float32 [T + 1]; row t has seen the t objects
    before position t, and an empty prefix has mean 0.
  """
  T = features.shape[0]
  weights = jnp.ones(T) if mask is None else mask.astype(features.dtype)
  # Where, not a product: a masked NaN must not spread.
  kept = jnp.where(weights[:, None] > 0, features, 0.0)
  # One product with a triangle of ones: row t sums the objects before t.
  before = jnp.tri(T + 1, T, -1, dtype=features.dtype)
  counts = before @ weights
  return (before @ kept) / jnp.maximum(counts, 1.0)[:, None], counts
