"""Episodes: who is drawn, how often, and that a key determines all of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from gen1shot.data import augment, glyphs
from gen1shot.data.episodes import (
  EpisodeSpec,
  ImageClasses,
  sample_distinct,
  sample_episode,
  sample_episodes,
  sample_tasks,
)
from gen1shot.errors import InputError

# Keys are fixed, so a test does not flicker; a correct code base fails at
# 4.5 standard errors, or at a p-value of 1e-5, for one key in 100,000.
SIGMAS = 4.5
P_VALUE = 1e-5

SIZES = (5, 9, 6, 5, 12, 7)  # exemplars of each class


@pytest.fixture(scope='module')
def classes():
  """Images [n_i, 3, 3, 1] that tell class, exemplar and view by themselves."""
  corner = np.arange(9, dtype=np.uint8).reshape(3, 3, 1) * 20
  images = []
  for class_id, size in enumerate(SIZES):
    stack = np.tile(corner, (size, 1, 1, 1))
    stack[:, 0, 0, 0] = 1 + class_id
    stack[:, 1, 1, 0] = 21 + np.arange(size)
    images.append(stack)
  return images


@pytest.fixture(scope='module')
def dataset(classes):
  return ImageClasses.stack(classes)


@pytest.fixture(scope='module')
def whose(classes):
  """Bytes of an image in a view -> (label, exemplar)."""
  view = jax.jit(augment.dihedral_view)
  return {
    np.asarray(view(jnp.asarray(image, jnp.float32), v)).tobytes(): (
      augment.NUM_VIEWS * class_id + v,
      exemplar,
    )
    for class_id, images in enumerate(classes)
    for exemplar, image in enumerate(images)
    for v in range(augment.NUM_VIEWS)
  }


def draw(dataset, **fields):
  spec = EpisodeSpec(**fields)
  sample = jax.jit(lambda key, data: sample_episodes(key, data, spec))
  return jax.device_get(sample(jax.random.key(0), dataset))


def identify(images, whose):
  """(label, exemplar) of every image [..., H, W, C]."""
  lead = images.shape[:-3]
  found = [whose[image.tobytes()] for image in images.reshape(-1, 3, 3, 1)]
  return np.array(found).reshape(*lead, 2)


# Few kinds of episodes, because each takes seconds to compile.


@pytest.fixture(scope='module')
def pure(dataset):
  """6000 episodes of 5 objects of one class."""
  return draw(dataset, batch_size=6000, length=min(SIZES))


@pytest.fixture(scope='module')
def viewed(dataset):
  """4000 episodes of 5 objects of up to 3 classes, views being classes."""
  return draw(
    dataset, batch_size=4000, length=min(SIZES), max_classes=3, dihedral=True
  )


@pytest.fixture(scope='module')
def mixed(dataset):
  """3000 episodes of 60 objects of up to 3 classes, with replacement."""
  return draw(
    dataset, batch_size=3000, length=60, max_classes=3, replacement=True
  )


# --- which exemplars


@pytest.mark.parametrize('kind', ['pure', 'viewed'])
def test_without_replacement_no_exemplar_comes_twice(kind, request, whose):
  episodes = request.getfixturevalue(kind)
  for episode in identify(episodes.images, whose):
    assert len(set(map(tuple, episode))) == min(SIZES)


def test_without_replacement_every_exemplar_is_drawn_equally_often(pure, whose):
  # The first of each episode: those of one episode are not independent.
  first = identify(pure.images[:, 0], whose)
  for class_id, size in enumerate(SIZES):
    counts = np.bincount(first[first[:, 0] == 8 * class_id][:, 1])
    assert len(counts) == size  # no padding
    assert scipy.stats.chisquare(counts).pvalue > P_VALUE


def test_with_replacement_exemplars_come_twice_at_the_expected_rate(
  mixed, whose
):
  first, second = identify(mixed.images[:, :2], whose).swapaxes(0, 1)
  repeats = (first == second).all(-1)
  for class_id, size in enumerate(SIZES):
    label = augment.NUM_VIEWS * class_id
    own = repeats[(first[:, 0] == label) & (second[:, 0] == label)]
    stderr = (1 / size * (1 - 1 / size) / len(own)) ** 0.5
    assert abs(own.mean() - 1 / size) < SIGMAS * stderr


def test_with_replacement_no_padding_is_drawn(mixed, whose):
  drawn = identify(mixed.images, whose).reshape(-1, 2)
  for class_id, size in enumerate(SIZES):
    exemplars = drawn[drawn[:, 0] == augment.NUM_VIEWS * class_id][:, 1]
    assert set(exemplars) == set(range(size))


@pytest.mark.parametrize('kind', ['pure', 'viewed', 'mixed'])
def test_labels_name_the_class_of_each_image(kind, request, whose):
  episodes = request.getfixturevalue(kind)
  own = identify(episodes.images, whose)[..., 0]
  if kind == 'viewed':
    assert len(np.unique(own)) == augment.NUM_VIEWS * len(SIZES)
  else:
    assert not (own % augment.NUM_VIEWS).any()
    own = own // augment.NUM_VIEWS
  np.testing.assert_array_equal(episodes.labels, own)


# --- which classes


def test_number_of_classes_is_uniform(mixed):
  # At length 60 a class of three stays away once in 10^10 episodes.
  numbers = [len(set(labels)) for labels in mixed.labels]
  counts = np.bincount(numbers)[1:]
  assert len(counts) == 3
  assert scipy.stats.chisquare(counts).pvalue > P_VALUE


def test_class_of_an_object_is_uniform_among_those_of_the_episode(mixed):
  pairs = [labels for labels in mixed.labels if len(set(labels)) == 2]
  share = np.mean([labels == labels.min() for labels in pairs])
  stderr = 0.5 / (60 * len(pairs)) ** 0.5
  assert abs(share - 0.5) < SIGMAS * stderr


@pytest.mark.parametrize(('kind', 'views'), [('mixed', 1), ('viewed', 8)])
def test_classes_of_the_data_set_are_uniform(kind, views, request):
  counts = np.bincount(request.getfixturevalue(kind).labels[:, 0])
  assert len(counts) == views * len(SIZES)
  assert scipy.stats.chisquare(counts).pvalue > P_VALUE


# --- sample_distinct


def test_sample_distinct_is_uniform_over_ordered_pairs():
  keys = jax.random.split(jax.random.key(0), 20_000)
  pairs = jax.jit(jax.vmap(lambda key: sample_distinct(key, 5, 2)))(keys)
  counts = np.bincount(pairs @ np.array([5, 1]), minlength=25).reshape(5, 5)
  assert not counts.diagonal().any()
  off = counts[~np.eye(5, dtype=bool)]
  assert scipy.stats.chisquare(off).pvalue > P_VALUE


@pytest.mark.parametrize(('n', 'k'), [(1, 1), (7, 7), (20, 20), (2**24, 40)])
def test_sample_distinct_is_distinct_and_in_range(n, k):
  keys = jax.random.split(jax.random.key(1), 200)
  draws = jax.jit(
    lambda keys, n: jax.vmap(lambda key: sample_distinct(key, n, k))(keys)
  )(keys, n)  # n is traced
  assert draws.dtype == jnp.int32
  assert draws.min() >= 0
  assert draws.max() < n
  assert all(len(set(row)) == k for row in np.asarray(draws))


def test_sample_distinct_reaches_the_far_end_of_a_long_range():
  keys = jax.random.split(jax.random.key(2), 500)
  draws = jax.vmap(lambda key: sample_distinct(key, 2**24, 4))(keys)
  share = (draws >= 2**23).mean()
  assert abs(share - 0.5) < SIGMAS * 0.5 / draws.size**0.5


# --- purity


SPEC = EpisodeSpec(3, 4, max_classes=2, dilation=True)


@pytest.fixture(scope='module')
def sample():
  return jax.jit(lambda key, data: sample_episodes(key, data, SPEC))


def assert_same(a, b):
  jax.tree.map(np.testing.assert_array_equal, a, b)


def test_a_key_determines_the_episodes(sample, dataset, key):
  first = sample(key, dataset)
  assert_same(first, sample(key, dataset))
  assert (first.images != sample(jax.random.key(1), dataset).images).any()


def test_episodes_are_the_same_under_jit_or_not(sample, dataset, key):
  assert_same(sample(key, dataset), sample_episodes(key, dataset, SPEC))


def test_vmap_over_keys_is_a_loop_over_keys(sample, dataset):
  keys = jax.random.split(jax.random.key(0), 3)
  together = jax.jit(jax.vmap(sample, (0, None)))(keys, dataset)
  for i, key in enumerate(keys):
    one = jax.tree.map(lambda leaf, i=i: leaf[i], together)
    assert_same(one, sample(key, dataset))


def test_episodes_of_a_batch_are_independent_draws(pure):
  # 23,040 equally likely ordered episodes at least; 8 are hardly ever equal
  assert len({image.tobytes() for image in pure.images[:8]}) == 8


# --- augmentation


@pytest.fixture(scope='module')
def drawing(characters):
  """A binary drawing [28, 28, 1] that is away from the edges."""
  return jnp.asarray(characters[3, 0].reshape(28, 28, 1))


def test_views_are_the_dihedral_group():
  image = np.arange(9.0, dtype=np.float32).reshape(3, 3, 1)
  views = {
    np.asarray(augment.dihedral_view(jnp.asarray(image), v)).tobytes()
    for v in range(8)
  }
  group = {
    np.rot90(base, turns).tobytes()
    for base in (image, image[::-1])
    for turns in range(4)
  }
  assert views == group
  assert len(group) == 8


def test_view_zero_is_the_image_itself():
  image = jnp.arange(9.0).reshape(3, 3, 1)
  np.testing.assert_array_equal(augment.dihedral_view(image, 0), image)


def test_dilate_widens_a_point_to_the_right_and_below():
  point = np.zeros((5, 6, 1), np.float32)
  point[1, 2] = 1
  expected = point.copy()
  expected[1:3, 2:4] = 1
  np.testing.assert_array_equal(augment.dilate(jnp.asarray(point)), expected)


def test_dilate_keeps_to_the_page():
  full = jnp.ones((4, 4, 1))
  np.testing.assert_array_equal(augment.dilate(full), full)


def test_dilation_widens_half_of_the_images(drawing):
  keys = jax.random.split(jax.random.key(0), 1000)
  drawn = jax.jit(
    jax.vmap(lambda key: augment.augment(key, drawing, 0, True, False, False))
  )(keys)
  wide = (drawn == augment.dilate(drawing)).all((1, 2, 3))
  same = (drawn == drawing).all((1, 2, 3))
  assert (wide ^ same).all()
  assert abs(wide.mean() - 0.5) < SIGMAS * 0.5 / len(keys) ** 0.5


def test_a_shift_is_uniform_over_two_pixels_each_way():
  point = jnp.zeros((7, 7, 1)).at[3, 3].set(1)
  keys = jax.random.split(jax.random.key(0), 5000)
  shift = jax.jit(
    jax.vmap(lambda key: augment.augment(key, point, 0, False, True, False))
  )
  counts = np.asarray(shift(keys).sum(0))[..., 0]
  assert counts.sum() == counts[1:6, 1:6].sum() == 5000
  assert scipy.stats.chisquare(counts[1:6, 1:6].ravel()).pvalue > P_VALUE


def test_a_shift_moves_blank_pixels_in():
  keys = jax.random.split(jax.random.key(0), 200)
  moved = jax.vmap(augment.random_shift, (0, None))(keys, jnp.ones((6, 6, 1)))
  # What is left of the page is whole rows times whole columns.
  area = np.asarray(moved.any((2, 3)).sum(1) * moved.any((1, 3)).sum(1))
  np.testing.assert_array_equal(moved.sum((1, 2, 3)), area)
  assert set(area) == {a * b for a in (4, 5, 6) for b in (4, 5, 6)}


@pytest.fixture(scope='module')
def moved(drawing):
  keys = jax.random.split(jax.random.key(0), 300)
  return jax.jit(
    jax.vmap(lambda key: augment.augment(key, drawing, 0, False, False, True))
  )(keys)


def test_affine_leaves_the_image_binary(moved):
  assert set(np.unique(moved)) == {0.0, 1.0}


def test_affine_moves_the_ink_a_little_and_in_every_direction(drawing, moved):
  def centre(image):
    where = jnp.argwhere(image[..., 0] > 0, size=28 * 28, fill_value=-1)
    ink = (where[:, :1] >= 0).astype(jnp.float32)
    return (where * ink).sum(0) / ink.sum()

  shifts = jax.vmap(centre)(moved) - centre(drawing)
  # One pixel of shift; turning and scaling about the page's centre add to it.
  assert (abs(shifts.mean(0)) < 0.4).all()
  assert (shifts.std(0) > 0.8).all()
  assert (shifts.std(0) < 1.6).all()
  assert len({image.tobytes() for image in np.asarray(moved)}) == len(moved)


def test_affine_loses_little_ink(drawing, moved):
  share = moved.sum((1, 2, 3)) / drawing.sum()
  assert 0.7 < share.mean() < 1.1


def test_each_object_of_an_episode_is_changed_by_itself(sample, dataset, key):
  point = jnp.zeros_like(dataset.images).at[..., 0, 0, 0].set(1)
  same = dataset.replace(images=point)
  kinds = [
    len({image.tobytes() for image in np.asarray(episode)})
    for key in jax.random.split(key, 10)
    for episode in sample(key, same).images
  ]
  assert set(kinds) == {1, 2}  # with the wider pen, without, or both


# --- several sets in a row


@pytest.mark.parametrize('length', [1, 2, 4, 5])
def test_sets_in_a_row_have_their_length_and_share_no_class(
  dataset, whose, length
):
  spec = EpisodeSpec(1, 4, dihedral=True)
  keys = jax.random.split(jax.random.key(0), 500)
  draw = jax.jit(
    jax.vmap(lambda key, n: sample_episode(key, dataset, spec, n), (0, None))
  )
  row = jax.device_get(draw(keys, jnp.int32(length)))
  number = np.arange(4) // length
  starts = np.append(True, number[1:] != number[:-1])
  np.testing.assert_array_equal(row.starts, np.tile(starts, (500, 1)))
  same = row.labels[:, :, None] == row.labels[:, None, :]
  expected = np.equal.outer(number, number)
  np.testing.assert_array_equal(same, np.tile(expected, (500, 1, 1)))
  found = identify(row.images, whose)
  np.testing.assert_array_equal(found[..., 0], row.labels)
  for objects in found:
    assert len(set(map(tuple, objects))) == 4


def test_one_set_starts_once(pure):
  assert pure.starts[:, 0].all()
  assert not pure.starts[:, 1:].any()


def test_sets_in_a_row_need_classes_of_their_own(dataset, key):
  spec = EpisodeSpec(1, 4, max_classes=2)
  with pytest.raises(InputError, match='in each of 4 sets must be <= 6'):
    sample_episode(key, dataset, spec, jnp.int32(2))


# --- what a data set cannot provide


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    ({'batch_size': 0}, 'batch_size must be >= 1; got 0'),
    ({'length': 0}, 'length must be >= 1; got 0'),
    ({'max_classes': 0}, 'max_classes must be >= 1; got 0'),
    ({'length': 6}, 'smallest class, 5 exemplars; got length 6'),
    ({'max_classes': 7}, 'max_classes must be <= 6'),
    ({'max_classes': 49, 'dihedral': True}, 'max_classes must be <= 48'),
  ],
)
def test_an_impossible_episode_is_refused(dataset, key, fields, message):
  spec = EpisodeSpec(**({'batch_size': 2, 'length': 2} | fields))
  with pytest.raises(InputError) as caught:
    sample_episodes(key, dataset, spec)
  assert message in str(caught.value)


def test_views_of_oblong_images_are_refused(key):
  oblong = ImageClasses.stack([np.zeros((2, 4, 5, 1), np.uint8)])
  with pytest.raises(InputError, match='height 4, width 5'):
    sample_episodes(key, oblong, EpisodeSpec(1, 1, dihedral=True))


def test_oblong_images_are_drawn_without_views(key):
  oblong = ImageClasses.stack([np.ones((2, 4, 5, 1), np.uint8)])
  spec = EpisodeSpec(1, 2, dilation=True, shift=True, affine=True)
  episodes = jax.eval_shape(lambda: sample_episodes(key, oblong, spec))
  assert episodes.images.shape == (1, 2, 4, 5, 1)


# --- tasks


@pytest.fixture(scope='module')
def tasks(dataset, whose):
  """(label, exemplar) of support [B, ways, shots, 2] and queries."""
  sample = jax.jit(lambda key, data: sample_tasks(key, data, 400, 4, 3))
  drawn = jax.device_get(sample(jax.random.key(0), dataset))
  return identify(drawn.support, whose), identify(drawn.queries, whose)


def test_classes_of_a_task_are_distinct(tasks):
  _, queries = tasks
  assert queries.shape == (400, 4, 2)
  for task in queries[..., 0]:
    assert len(set(task)) == 4


def test_query_is_of_the_class_of_its_support(tasks):
  support, queries = tasks
  assert support.shape == (400, 4, 3, 2)
  assert (support[..., 0] == queries[..., None, 0]).all()


def test_exemplars_of_a_task_are_distinct(tasks):
  support, queries = tasks
  together = np.concatenate([support, queries[:, :, None]], 2)[..., 1]
  for exemplars in together.reshape(-1, 4):
    assert len(set(exemplars)) == 4


def test_right_answer_of_a_task_says_nothing_about_the_class(tasks):
  _, queries = tasks
  counts = np.bincount(queries[:, 0, 0] // 8, minlength=len(SIZES))
  assert scipy.stats.chisquare(counts).pvalue > P_VALUE


@pytest.mark.parametrize(('ways', 'shots'), [(7, 1), (2, 5)])
def test_an_impossible_task_is_refused(dataset, key, ways, shots):
  with pytest.raises(InputError):
    sample_tasks(key, dataset, 1, ways, shots)


# --- glyphs


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
  row = jax.vmap(data.image, (None, 0))
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
