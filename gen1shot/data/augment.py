"""Random changes of binary images: views, pen width, small affine maps."""

import jax
import jax.numpy as jnp

NUM_VIEWS = 8  # the dihedral group of the square: rotations and reflections


def split_view(
  labels: jax.Array, dihedral: bool
) -> tuple[jax.Array, jax.Array]:
  """A label is class * 8 + view where views are classes: (class, view)."""
  if dihedral:
    return labels // NUM_VIEWS, labels % NUM_VIEWS
  return labels, jnp.zeros_like(labels)


def augment(
  key: jax.Array,
  image: jax.Array,
  view: jax.Array,
  dilation: bool,
  shift: bool,
  affine: bool,
) -> jax.Array:
  """One image [H, W, C] seen in `view` (int32 scalar), then changed at random.

  The key is consumed; `dilation`, `shift` and `affine` switch the random
  changes on.
  """
  dilation_key, shift_key, affine_key = jax.random.split(key, 3)
  image = dihedral_view(image, view)
  if shift:
    image = random_shift(shift_key, image)
  if affine:
    image = random_affine(affine_key, image)
  if dilation:
    wide = jax.random.bernoulli(dilation_key)
    image = jnp.where(wide, dilate(image), image)
  return image


def dihedral_view(image: jax.Array, view: jax.Array) -> jax.Array:
  """View 0..7 of a square image [H, H, C]; view 0 is the image itself.

  The three bits of `view` flip rows, flip columns and transpose, which
  together generate the dihedral group of order 8.
  """
  image = jnp.where(view & 1, image[::-1], image)
  image = jnp.where(view & 2, image[:, ::-1], image)
  if image.shape[0] != image.shape[1]:
    return image
  return jnp.where(view & 4, image.swapaxes(0, 1), image)


def dilate(image: jax.Array) -> jax.Array:
  """Widens strokes by one pixel to the right and below: [H, W, C]."""
  padded = jnp.pad(image, ((1, 0), (1, 0), (0, 0)))
  wide = jnp.maximum(padded[1:], padded[:-1])
  return jnp.maximum(wide[:, 1:], wide[:, :-1])


def random_shift(key: jax.Array, image: jax.Array) -> jax.Array:
  """Moves an image [H, W, C] by -2..2 pixels along each axis, uniformly.

  Blank pixels move in. The key is consumed.
  """
  padded = jnp.pad(image, ((2, 2), (2, 2), (0, 0)))
  row, column = jax.random.randint(key, (2,), 0, 5)
  return jax.lax.dynamic_slice(padded, (row, column, 0), image.shape)


def random_affine(key: jax.Array, image: jax.Array) -> jax.Array:
  """Rotates, scales, shears and shifts a binary image [H, W, C] a little.

  Standard deviations: 0.1 rad, 7 %, 7 % and one pixel; bilinear, then a
  threshold at 1/2 makes the image binary again. The key is consumed.
  """
  height, width, _ = image.shape
  noise = jax.random.normal(key, (6,))
  matrix = jnp.eye(2) + jnp.array(
    [
      [0.07 * noise[0], 0.07 * noise[1] - 0.1 * noise[2]],
      [0.07 * noise[1] + 0.1 * noise[2], 0.07 * noise[3]],
    ]
  )
  centre = jnp.array([height - 1, width - 1]) / 2
  grid = jnp.stack(
    jnp.meshgrid(jnp.arange(height), jnp.arange(width), indexing='ij'), -1
  )
  where = (grid - centre) @ matrix.T + centre + noise[4:]

  def resample(channel):
    return jax.scipy.ndimage.map_coordinates(
      channel, [where[..., 0], where[..., 1]], order=1
    )

  moved = jax.vmap(resample, in_axes=-1, out_axes=-1)(image)
  return (moved > 0.5).astype(image.dtype)
