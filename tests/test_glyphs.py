"""Procedural handwriting: ink, characters, hands, strokes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from odds import P_VALUE

from gen1shot.data import glyphs, sources


@pytest.fixture(scope='module')
def characters():
  """40 characters in 6 hands, [40, 6, 784]."""
  pairs = jnp.arange(40).reshape(20, 2)
  return np.concatenate(
    [draw_two(glyphs.load()['train'], ids) for ids in pairs]
  )


@jax.jit
def draw_two(data, ids):
  """Two characters in 6 hands, [2, 6, 784]."""
  row = jax.vmap(data.exemplar, (None, 0))
  drawn = jax.vmap(row, (0, None))(ids, jnp.arange(6))
  return drawn.reshape(2, 6, 784)


def test_glyphs_are_binary_images_with_ink(characters):
  assert characters.dtype == np.float32
  assert set(np.unique(characters)) == {0.0, 1.0}
  # Omniglot at 28 x 28 has 8 %.
  assert 0.05 < characters.mean() < 0.25
  assert characters.mean(-1).min() > 0.01


def test_glyphs_stay_away_from_the_border(characters):
  frame = characters.reshape(-1, 28, 28).copy()
  frame[:, 1:-1, 1:-1] = 0
  assert frame.sum() < 0.02 * characters.sum()


def test_parts_are_disjoint_ranges_of_one_alphabet(characters):
  firsts = [part.first for part in glyphs.load().values()]
  assert firsts == [0, glyphs.CLASSES, 2 * glyphs.CLASSES]
  # The last character of train and the first of valid, seen from both sides.
  edge = glyphs.CLASSES - 1 + jnp.arange(2)
  train = draw_two(glyphs.Glyphs(firsts[0]), edge)
  valid = draw_two(glyphs.Glyphs(firsts[1]), edge - glyphs.CLASSES)
  np.testing.assert_array_equal(train, valid)
  assert (train[0] != train[1]).any()
  assert (valid[1] != characters[0]).any()


def test_a_character_does_not_depend_on_what_else_is_drawn(characters):
  alone = draw_two(glyphs.load()['train'], jnp.array([7, 39]))
  np.testing.assert_array_equal(alone, characters[[7, 39]])


def test_hands_differ(characters):
  for character in characters:
    assert len({image.tobytes() for image in character}) == 6


def test_a_drawing_is_nearer_to_its_own_character_than_to_others(characters):
  images = characters.astype(float)
  query, means = images[:, 0], images[:, 1:].mean(1)
  distance = ((query[:, None] - means) ** 2).sum(-1)
  # One of 40 by chance.
  assert (distance.argmin(1) == np.arange(40)).mean() > 0.6
  assert distance.diagonal().mean() < 0.8 * distance.mean()


def test_characters_have_one_to_four_strokes():
  keys = jax.random.split(jax.random.key(0), 2000)
  _, drawn = jax.jit(jax.vmap(glyphs.sample_program))(keys)
  counts = np.bincount(drawn.sum(1), minlength=5)
  expected = 2000 * np.array([0.05, 0.25, 0.4, 0.3])
  assert counts[0] == 0
  assert scipy.stats.chisquare(counts[1:], expected).pvalue > P_VALUE


def test_a_stroke_is_as_wide_as_its_pen():
  # Straight down the middle of the page, in the unit square.
  line = jnp.stack([jnp.linspace(0.2, 0.8, 4), jnp.full(4, 0.5)], -1)[None]
  widths = [
    glyphs.render(line, jnp.array([True]), jnp.asarray(pen))[14].sum()
    for pen in (0.6, 2.6)
  ]
  # Ink reaches one standard deviation to either side.
  assert widths == [2, 6]


def test_a_stroke_that_is_not_drawn_leaves_no_ink():
  line = jnp.stack([jnp.linspace(0.2, 0.8, 4), jnp.full(4, 0.5)], -1)[None]
  page = glyphs.render(line, jnp.array([False]), jnp.asarray(0.8))
  assert not page.any()


def test_glyphs_need_nothing():
  source = sources.load('glyphs')
  assert source.train.object_shape == (28, 28, 1)
  assert source.fingerprint == sources.load('glyphs', seed=1).fingerprint
