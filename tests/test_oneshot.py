"""Images of the user: read, continued, scored and told apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fake import Fake
from PIL import Image

from gen1shot import oneshot
from gen1shot.errors import InputError
from gen1shot.evaluation import likelihood
from gen1shot.models.lda import LDA

SHAPE = Fake().observation_shape


def images(seed, n):
  """Noisy copies of one pattern."""
  pattern = np.random.default_rng(seed).random(SHAPE) < 0.5
  wrong = np.random.default_rng(seed + 100).random((n, *SHAPE)) < 0.02
  return np.float32(pattern ^ wrong)


def test_new_images_are_of_what_is_shown():
  shown = images(0, 3)
  drawn = oneshot.draw(Fake(0.1), {}, shown, 200)
  assert drawn.shape == (200, *SHAPE)
  np.testing.assert_allclose(drawn.mean(0), shown.sum(0), atol=0.05)
  other = oneshot.draw(Fake(0.1), {}, shown, 200, seed=1)
  assert (drawn != other).any()
  np.testing.assert_array_equal(oneshot.draw(Fake(0.1), {}, shown, 200), drawn)


def test_nothing_need_be_shown():
  drawn = oneshot.draw(Fake(), {}, np.zeros((0, *SHAPE), np.float32), 2)
  np.testing.assert_array_equal(drawn, np.zeros((2, *SHAPE)))


def test_a_score_is_that_of_the_last_object_of_an_episode():
  shown, queries = images(0, 3), np.concatenate([images(0, 2), images(1, 1)])
  scores = oneshot.score(Fake(), {}, shown, queries, num_samples=3)
  for query, found in zip(queries, scores, strict=True):
    episode = jnp.concatenate([shown, query[None]])[None]
    log_p, _ = likelihood.predictive(
      Fake(), {}, episode, 3, jax.random.key(0), orders=1
    )
    assert found == pytest.approx(log_p[0, -1], rel=1e-6)
  assert scores[:2].min() > scores[2]


def test_more_samples_bound_a_score_more_tightly():
  shown, queries = images(0, 1), images(0, 40)
  few, many = (
    oneshot.score(Fake(1.0), {}, shown, queries, num_samples=k).mean()
    for k in (1, 200)
  )
  # log E exp(noise) - E noise = 1/2
  assert many - few == pytest.approx(0.5, abs=0.35)


def test_queries_are_told_apart():
  classes = [images(seed, 2) for seed in range(4)]
  queries = np.concatenate([images(seed, 3) for seed in (3, 1, 0, 2)])
  told = oneshot.classify(Fake(), {}, classes, queries, num_samples=2)
  np.testing.assert_array_equal(told, np.repeat([3, 1, 0, 2], 3))


@pytest.mark.parametrize('kind', [bool, 'u1', float])
def test_images_may_be_of_any_type(kind):
  shown, queries = images(0, 2), images(0, 1)
  as_kind = shown.astype(kind), queries.astype(kind)
  np.testing.assert_array_equal(
    oneshot.draw(Fake(), {}, as_kind[0], 2), oneshot.draw(Fake(), {}, shown, 2)
  )
  np.testing.assert_array_equal(
    oneshot.score(Fake(), {}, *as_kind, 2),
    oneshot.score(Fake(), {}, shown, queries, 2),
  )


def test_nothing_need_be_asked():
  shown, nothing = images(0, 2), images(0, 0)
  assert oneshot.score(Fake(), {}, shown, nothing).shape == (0,)
  assert oneshot.classify(Fake(), {}, [shown, shown], nothing).shape == (0,)


@pytest.mark.parametrize(
  ('call', 'expected'),
  [
    (lambda: oneshot.draw(Fake(), {}, images(0, 2)[..., 0], 2), 'shown must'),
    (
      lambda: oneshot.draw(Fake(), {}, images(0, 2), 0),
      'num_samples must be >= 1; got 0',
    ),
    (
      lambda: oneshot.score(Fake(), {}, images(0, 2), images(0, 1), -1),
      'num_samples must be >= 1; got -1',
    ),
    (
      lambda: oneshot.score(LDA((9,)), {}, np.zeros((2, 9)), np.zeros((1, 9))),
      'got LDA, of words',
    ),
    (
      lambda: oneshot.score(Fake(), {}, images(0, 2), images(0, 1)[0]),
      r'queries must be \[N, \*\(5, 6, 1\)\]; got \[5, 6, 1\]',
    ),
    (
      lambda: oneshot.score(Fake(), {}, images(0, 2)[:, 1:], images(0, 1)),
      r'shown must be .*; got \[2, 4, 6, 1\]',
    ),
    (
      lambda: oneshot.classify(Fake(), {}, [images(0, 2)], images(0, 1)),
      'must be 2 or more; got 1',
    ),
    (
      lambda: oneshot.classify(
        Fake(), {}, [images(0, 2), images(1, 3)], images(0, 1)
      ),
      r'as many images each; got \[2, 3\]',
    ),
    (
      lambda: oneshot.score(Fake(), {}, images(0, 2), 255 * images(0, 1)),
      r'queries must have pixels in \[0, 1\]; got 0.0 to 255.0',
    ),
    (lambda: oneshot.read_images([]), 'images must be files; got none'),
  ],
)
def test_mistakes_are_one_line(call, expected):
  with pytest.raises(InputError, match=expected) as caught:
    call()
  assert '\n' not in str(caught.value)


def test_images_are_read_as_ink_on_paper(tmp_path):
  ink = np.random.default_rng(0).random((2, 5, 6)) < 0.3
  paths = [tmp_path / f'{i}.png' for i in range(2)]
  for path, image in zip(paths, ink, strict=True):
    Image.fromarray(np.where(image, 0, 255).astype('u1')).save(path)
  read = oneshot.read_images(paths)
  assert read.dtype == np.float32
  np.testing.assert_array_equal(read[..., 0], ink)
  with pytest.raises(InputError, match=r'must be 8x8 pixels.*; got 5x6 in'):
    oneshot.read_images(paths, (8, 8, 1))
  Image.new('L', (5, 5), 255).save(paths[1])
  with pytest.raises(InputError, match=r'5x6 pixels.*; got 5x5 in .*1\.png'):
    oneshot.read_images(paths)
