"""Evaluation, on models simple enough that the right figures are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fake import Fake
from flax import linen as nn
from PIL import Image

from gen1shot import plotting
from gen1shot.data.episodes import EpisodeSpec, ImageClasses
from gen1shot.distributions import DiagGaussian
from gen1shot.evaluation import activity, classification, generation, likelihood
from gen1shot.evaluation.likelihood import Figure, Likelihood

T = 4
SPEC = EpisodeSpec(batch_size=6, length=T)


@pytest.fixture(scope='module')
def noise_images():
  """30 classes of 6 images of pure noise."""
  rng = np.random.default_rng(0)
  images = rng.integers(0, 2, (30, 6, 5, 4, 1), dtype=np.uint8)
  return ImageClasses.stack(list(images))


@pytest.fixture(scope='module')
def separable():
  """30 classes of 6 images: its own random pattern, 1 of 100 pixels wrong."""
  rng = np.random.default_rng(0)
  patterns = rng.integers(0, 2, (30, 1, 20, 20, 1), dtype=np.uint8)
  wrong = rng.random((30, 6, 20, 20, 1)) < 0.01
  return ImageClasses.stack(list(patterns ^ wrong.astype(np.uint8)))


# --- likelihood


def estimate(dataset, num_samples, noise=0.0):
  return likelihood.estimate(
    Fake(noise), {}, dataset, SPEC, num_samples, jax.random.key(0)
  )


def test_position_is_averaged_over_cyclic_orders(noise_images):
  class First(Fake):
    def log_weights(self, x, num_samples):
      return self._noisy(
        x.sum((1, 2, 3)) + 10.0 * jnp.arange(len(x)), num_samples
      )

  scores = likelihood.estimate(
    First(), {}, noise_images, SPEC, 2, jax.random.key(0)
  )
  # Each object stands once at every position, so all positions have the mean
  # of the episode; the joint figure is its sum, over T.
  ink = -scores.joint
  np.testing.assert_allclose(
    scores.predictive, ink[:, None] + 10.0 * np.arange(T), rtol=1e-5
  )
  assert len(set(ink)) > 1


def test_many_samples_beat_their_mean(noise_images):
  scores = estimate(noise_images, 50, noise=1.0)
  assert scores.predictive.shape == scores.predictive_bound.shape == (6, T)
  assert scores.joint.shape == scores.joint_bound.shape == (6,)
  # log E exp(noise) - E noise = 1/2; T orders are averaged, joint is over T.
  gain = scores.predictive - scores.predictive_bound
  assert gain.mean() == pytest.approx(0.5, abs=0.1)
  joint_gain = T * (scores.joint - scores.joint_bound)
  assert joint_gain.mean() == pytest.approx(0.5, abs=0.3)


def test_figure_is_mean_and_standard_error():
  values = np.array([1.0, 2.0, 4.0, 9.0])
  figure = Figure.of(values)
  assert figure.mean == 4
  # sum of squares 9 + 4 + 0 + 25, over 3, over 4
  assert figure.stderr == pytest.approx((38 / 12) ** 0.5)
  assert str(figure) == '4.00 ± 1.78'
  assert str(Figure(0.97, 0.00321)) == '0.9700 ± 0.0032'
  assert str(Figure(-77.25, 0.0)) == '-77.25 ± 0.00'


def test_error_of_one_value_is_unknown():
  assert Figure.of(np.array([3.0])) == Figure(3.0, float('inf'))


def test_summary_has_a_row_a_position_and_the_joint():
  predictive = np.array([[-9.0, -7.0, -6.0], [-5.0, -3.0, -2.0]])
  scores = Likelihood(
    predictive, predictive - 1, np.array([-8.0, -4.0]), np.array([-9.0, -6.0])
  )
  *positions, joint = likelihood.summary(scores)
  assert [row['examples'] for row in positions] == [0, 1, 2]
  assert [row['predictive'].mean for row in positions] == [-7, -5, -4]
  assert [row['bound'].mean for row in positions] == [-8, -6, -5]
  # Paired: the episodes differ by 4, their gains do not.
  assert [row['gain'] for row in positions] == [
    Figure(0, 0),
    Figure(2, 0),
    Figure(3, 0),
  ]
  assert joint['examples'] == 'joint'
  assert joint['predictive'].mean == -6
  assert joint['bound'].mean == -7.5
  assert joint['gain'] is None


# --- classification


def accuracy(dataset, rule, ways=5, shots=2, tasks=20):
  return classification.accuracy(
    Fake(),
    {},
    dataset,
    rule=rule,
    ways=ways,
    shots=shots,
    tasks=tasks,
    num_samples=2,
    key=jax.random.key(0),
  )


@pytest.mark.parametrize('rule', classification.RULES)
@pytest.mark.parametrize(('ways', 'shots'), [(5, 2), (20, 1)])
def test_separable_classes_are_told_apart(separable, rule, ways, shots):
  shares = accuracy(separable, rule, ways, shots, tasks=10)
  assert shares.shape == (10,)
  assert (shares == 1).all()


@pytest.mark.parametrize('rule', classification.RULES)
def test_noise_is_classified_by_chance(noise_images, rule):
  shares = accuracy(noise_images, rule, tasks=200)
  assert abs(shares.mean() - 0.2) < 4.5 * shares.std() / len(shares) ** 0.5
  assert set(np.round(5 * shares)) <= set(range(6))


def test_kl_score_is_from_the_classes_to_the_query():
  class Raw(nn.Module):
    """Takes its set of one as (mean, log variance)."""

    def embed(self, support):
      return DiagGaussian(support[0, :1], support[0, 1:])

  classes = jnp.array([[[0.0, 0.0]], [[1.0, 2.0]]])
  queries = jnp.array([[0.5, 1.0]])
  scores = classification._posterior_scores(
    classification._negative_kl, Raw(), {}, classes, queries, None, None, None
  )

  def divergence(mean, logvar):  # KL(N(mean, exp(logvar)) || N(0.5, e))
    ratio, distance = np.exp(logvar - 1), (mean - 0.5) ** 2 / np.e
    return 0.5 * (ratio + distance - 1 + 1 - logvar)

  np.testing.assert_allclose(
    scores, [[-divergence(0, 0), -divergence(1, 2)]], rtol=1e-5
  )


def test_score_of_views_is_the_mean_over_all_of_them():
  class Edge(nn.Module):
    """Knows of a set the pixel next to the corner of its first image."""

    def embed(self, support):
      return DiagGaussian(support[0, 0, 1], jnp.zeros(1))

  rng = np.random.default_rng(0)
  support = rng.standard_normal((2, 1, 4, 4, 1)).astype('f4')
  queries = rng.standard_normal((1, 4, 4, 1)).astype('f4')
  scores = classification._scores_of_views(
    Edge(), {}, support, queries, None, None, None
  )
  # A pixel next to a corner, of which there are eight, is there in one view.
  squares = ((support[:, 0] - queries) ** 2)[..., 0]
  edges = [squares[:, i, j] for i in (0, 3) for j in (1, 2)]
  edges += [squares[:, i, j] for i in (1, 2) for j in (0, 3)]
  expected = -0.5 * np.mean(edges, axis=0)
  np.testing.assert_allclose(scores[0], expected, rtol=1e-5)


def test_cosine_score_is_of_the_angle_between_means():
  zeros = jnp.zeros((2, 2))
  classes = DiagGaussian(jnp.array([[2.0, 0.0], [3.0, 3.0]]), zeros)
  query = DiagGaussian(jnp.array([0.0, 5.0]), zeros[0])
  np.testing.assert_allclose(
    classification._cosine(classes, query), [0, 0.5**0.5], atol=1e-6
  )


# --- activity


def test_a_unit_is_active_where_its_mean_varies(key):
  """Pixels of pure noise have variance 1/4; the others are constant."""
  rng = np.random.default_rng(0)
  images = rng.integers(0, 2, (300, 1, 3, 3, 1), dtype=np.uint8)
  images[:, :, 1] = 1
  # One class of 300 differs: a variance of 0.003.
  images[:, :, 2] = 0
  images[0, :, 2, 2] = 1
  dataset = ImageClasses.stack(list(images))
  active = activity.active_units(Fake(), {}, dataset, 1000, key)
  np.testing.assert_array_equal(active, [True] * 3 + [False] * 6)


# --- sheets


def test_sampler_gives_each_row_a_key_of_its_own(key):
  sample = generation.make_sampler(Fake(1.0), 3)
  support = jnp.ones((2, 4, 5, 6, 1))
  drawn = sample({}, support, key)
  assert drawn.shape == (2, 3, 5, 6, 1)
  assert drawn.mean() == pytest.approx(4, abs=0.5)
  assert (drawn[0] != drawn[1]).any()
  np.testing.assert_array_equal(drawn, sample({}, support, key))


def test_sheet_puts_every_image_in_its_cell():
  rng = np.random.default_rng(0)
  support, samples = rng.random((3, 2, 5, 7, 1)), rng.random((3, 4, 5, 7, 1))
  sheet = plotting.sheet(support, samples)
  left, gap = 2 * 8 + 1, 4
  assert sheet.dtype == np.uint8
  assert sheet.shape == (3 * 6 + 1, left + gap + 4 * 8 + 1, 3)
  for images, start in ((support, 0), (samples, left + gap)):
    for row in range(3):
      for column in range(images.shape[1]):
        top, side = 6 * row + 1, start + 8 * column + 1
        cell = sheet[top : top + 5, side : side + 7]
        ink = images[row, column].repeat(3, -1)
        np.testing.assert_allclose(cell, 255 * (1 - ink), atol=0.51)
  assert (sheet[:, left : left + gap] == 255).all()


def test_sheet_without_support_has_samples_only():
  samples = np.ones((2, 3, 5, 7, 1))
  sheet = plotting.sheet(np.zeros((2, 0, 5, 7, 1)), samples)
  assert sheet.shape == (2 * 6 + 1, 3 * 8 + 1, 3)
  assert (sheet[1:6, 1:8] == 0).all()


def test_saved_sheet_is_a_png_of_twice_the_size(tmp_path):
  picture = np.random.default_rng(0).integers(0, 256, (5, 8), dtype=np.uint8)
  path = tmp_path / 'new' / 'sheet.png'
  plotting.save(picture, path)
  with Image.open(path) as image:
    assert (image.format, image.size) == ('PNG', (16, 10))
    np.testing.assert_array_equal(np.asarray(image)[::2, 1::2], picture)
  assert list(path.parent.iterdir()) == [path]
