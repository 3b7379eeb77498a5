"""What a trained model says of images that it is shown.

Every call compiles what it runs, for some seconds: research code that asks
often compiles `module.apply` itself.

Shapes: N images shown, Q queries, S new images; each image [H, W, C] of 0 and
1. Vectors take the place of images where the model is of vectors.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from gen1shot import zoo
from gen1shot.bounds import Params
from gen1shot.data.folder import read_images
from gen1shot.errors import InputError
from gen1shot.evaluation.classification import likelihood_scores
from gen1shot.evaluation.generation import make_sampler
from gen1shot.evaluation.likelihood import each

__all__ = ['classify', 'draw', 'read_images', 'score']

Images = jax.Array | np.ndarray


def draw(
  module: nn.Module,
  params: Params,
  shown: Images,
  num_samples: int,
  seed: int = 0,
) -> np.ndarray:
  """New images of the concept that is shown: [S, H, W, C].

  Means of p(x | shown), in [0, 1] for pixels. Nothing shown, [0, H, W, C],
  gives what the model draws unconditionally.

  Raises:
    InputError: what is shown is not of the shape that the model takes, has
      pixels beyond [0, 1], or no samples are asked for.
  """
  _check(module, num_samples)
  support = _floats(module, 'shown', shown)
  sample = make_sampler(module, num_samples)
  return np.asarray(sample(params, support[None], jax.random.key(seed))[0])


def score(
  module: nn.Module,
  params: Params,
  shown: Images,
  queries: Images,
  num_samples: int = 100,
  seed: int = 0,
) -> np.ndarray:
  """log p(query | shown) of each query in nats, [Q]: a K-sample bound.

  Raises:
    InputError: images are not of the shape that the model takes, have pixels
      beyond [0, 1], or no samples are asked for.
  """
  return _scores(module, params, [shown], queries, num_samples, seed)[:, 0]


def classify(
  module: nn.Module,
  params: Params,
  classes: Sequence[Images],
  queries: Images,
  num_samples: int = 100,
  seed: int = 0,
) -> np.ndarray:
  """Which of the classes each query is of, int [Q].

  The class whose images, [N, H, W, C], make the query likeliest. All classes
  show as many images: what has been shown more often would be favoured.

  Raises:
    InputError: fewer than two classes, of different sizes, images that are not
      of the shape that the model takes or have pixels beyond [0, 1], or no
      samples asked for.
  """
  if len(classes) < 2:
    raise InputError(f'classes must be 2 or more; got {len(classes)}')
  sizes = [len(images) for images in classes]
  if len(set(sizes)) > 1:
    raise InputError(f'classes must show as many images each; got {sizes}')
  return _scores(module, params, classes, queries, num_samples, seed).argmax(1)


def _scores(
  module: nn.Module,
  params: Params,
  classes: Sequence[Images],
  queries: Images,
  num_samples: int,
  seed: int,
) -> np.ndarray:
  """log p(query | images of a class), [Q, classes]."""
  _check(module, num_samples)
  asked = _floats(module, 'queries', queries)
  support = jnp.stack([_floats(module, 'shown', c) for c in classes])
  if not len(asked):
    return np.zeros((0, len(classes)), 'f4')

  def one(given, query, key, at_once):
    params, support = given
    scores = likelihood_scores(
      module, params, support, query[None], num_samples, key, at_once
    )
    return scores[0]

  return each(one, (params, support), asked, num_samples, jax.random.key(seed))


def _check(module: nn.Module, num_samples: int) -> None:
  """Raises InputError for a model of words, or for no samples."""
  if zoo.is_of_words(module):
    raise InputError(
      'images and vectors are shown to models of such; got '
      f'{type(module).__name__}, of words'
    )
  if num_samples < 1:
    raise InputError(f'num_samples must be >= 1; got {num_samples}')


def _floats(module: nn.Module, what: str, images: Images) -> jax.Array:
  """Images [N, *shape] of any type as float32."""
  shape = module.observation_shape
  if np.ndim(images) != 1 + len(shape) or np.shape(images)[1:] != shape:
    raise InputError(
      f'{what} must be [N, *{shape}]; got {list(np.shape(images))}'
    )
  values = jnp.asarray(images, jnp.float32)
  pixels = module.observation != 'gaussian'
  if pixels and not ((values >= 0) & (values <= 1)).all():
    raise InputError(
      f'{what} must have pixels in [0, 1]; got {values.min()} to {values.max()}'
    )
  return values
