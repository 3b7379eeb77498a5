"""What the functions of the package say to a caller's mistake: one line."""

import dataclasses
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from questions import streams
from toy_sources import check_message

from gen1shot import runs, zoo
from gen1shot.config import Config
from gen1shot.data import sources
from gen1shot.data.documents import Documents
from gen1shot.data.episodes import (
  EpisodeSpec,
  ImageClasses,
  sample_episodes,
  sample_tasks,
)
from gen1shot.data.points import Clouds
from gen1shot.data.vocabulary import Vocabulary
from gen1shot.errors import InputError
from gen1shot.evaluation import classification, likelihood
from gen1shot.evaluation.generation import make_sampler

SHAPE = (4, 4, 1)
KEY = jax.random.key(0)
ONES = np.ones((3, *SHAPE), np.uint8)
THREE = ImageClasses.stack([ONES] * 3)
SINGLE = ImageClasses.stack([ONES[:1]] * 3)
TEXTS = Documents.stack([np.arange(3)] * 3, 3)


def config(**fields):
  return lambda: Config(**fields)


def build(**fields):
  def build():
    module = zoo.build('vae', 'small', SHAPE, **(tiny_vae() | fields))
    x = jnp.zeros((2, *SHAPE))
    return jax.eval_shape(lambda: module.init(streams(KEY), x, method='bound'))

  return build


def tiny_vae():
  return {k: v for k, v in tiny.TINY.items() if k != 'c_dim'}


def episodes(dataset, *spec, **fields):
  return lambda: sample_episodes(KEY, dataset, EpisodeSpec(*spec, **fields))


def sampler(support, mask=None):
  module = zoo.build('vae', 'small', SHAPE, **tiny_vae())
  return lambda: make_sampler(module, 2)({}, support, KEY, mask)


def stack(*classes):
  return lambda: ImageClasses.stack(classes)


def scored(dataset):
  spec = EpisodeSpec(1, 2)
  return lambda: likelihood.estimate(None, {}, dataset, spec, 1, KEY)


def classified(dataset, rule):
  return lambda: classification.accuracy(
    None,
    {},
    dataset,
    rule=rule,
    ways=2,
    shots=1,
    tasks=2,
    num_samples=1,
    key=KEY,
  )


def documents(*texts):
  return lambda: Documents.stack(texts, 3)


# id -> (call, what the message says)
MISTAKES = {
  # configurations
  'a text for a number': (config(batch_size='8'), ['whole number', "'8'"]),
  'half an episode': (config(batch_size=2.5), ['whole number', '2.5']),
  'true for a number': (config(steps=True), ['whole number', 'True']),
  'a number for a choice': (config(objective=3), ['a text', '3']),
  'nothing for a number': (config(steps=None), ['whole number', 'None']),
  'a number for a switch': (config(replacement=1), ['true or false', '1']),
  'a path that is none': (config(data_dir=3), ['data_dir', 'a text', '3']),
  'fields in a list': (config(fields=[('width', 8)]), ['name -> value']),
  'a huge batch': (config(batch_size=2**31), ['below 2**31', str(2**31)]),
  'a huge seed': (config(seed=10**30), ['seed', 'below 2**31']),
  'infinite bits': (config(free_bits=np.inf), ['free_bits', 'finite', 'inf']),
  'bits that are no number': (config(free_bits=np.nan), ['finite', 'nan']),
  'another objective': (config(objective='elbow'), ["did you mean 'elbo'"]),
  # modules
  'no such field': (build(widht=8), ["did you mean 'width'"]),
  'a field of text': (build(width='8'), ['width', 'whole number', "'8'"]),
  'a field of half': (build(layers=1.5), ['layers', 'whole number']),
  'no width': (build(width=0), ['width must be >= 1; got 0']),
  'a depth below 0': (build(mlp_depth=-1), ['mlp_depth must be >= 0']),
  'no such observation': (build(observation='poisson'), ['poisson']),
  'images without pixels': (
    lambda: zoo.build('vae', 'small', (0, 28, 1)),
    ['observation_shape', '(0, 28, 1)'],
  ),
  'objects without a shape': (
    lambda: zoo.build('vae', 'small', ()),
    ['observation_shape', '()'],
  ),
  # data sets
  'no classes': (stack(), ['must have a class', 'none']),
  'an empty class': (stack(ONES, ONES[:0]), ['n >= 1', '[0, 4, 4, 1]']),
  'images of fractions': (stack(ONES / 2), ['uint8', 'float64']),
  'images that are no number': (
    stack(np.full((3, *SHAPE), np.nan, np.float32)),
    ['uint8', 'float32'],
  ),
  'images without channels': (stack(ONES[..., 0]), ['[3, 4, 4]']),
  'images of two sizes': (stack(ONES, ONES[:, :3]), ['[3, 3, 4, 1]']),
  'no such rule': (
    classified(THREE, 'klviews'),
    ['rule', "did you mean 'kl-views'?"],
  ),
  'views of words': (classified(TEXTS, 'kl-views'), ['images; got words']),
  'likelihoods of words': (
    scored(Documents.stack([np.arange(3)], 3)),
    ['got words', 'perplexity.score'],
  ),
  'no documents': (documents(), ['must have a document']),
  'words of fractions': (documents(np.ones(2)), ['integers', 'float64']),
  'words in a table': (documents(np.ones((2, 2), int)), ['[2, 2]']),
  'words beyond the vocabulary': (
    documents(np.array([0, 3])),
    ['[0, 3)', '0 to 3'],
  ),
  'words before it': (documents(np.array([-1])), ['[0, 3)', '-1']),
  'clouds of blank images': (
    lambda: Clouds.of_images({'0': 0 * ONES}),
    ['ink', 'blank'],
  ),
  'words that are no vocabulary': (
    lambda: Vocabulary(('a', 'b'), (1, 1)).encode(['c']),
    ["'c'"],
  ),
  # episodes
  'no episodes': (episodes(THREE, 0, 2), ['batch_size must be >= 1; got 0']),
  'T of 0': (episodes(THREE, 1, 0), ['length must be >= 1; got 0']),
  'T beyond the class': (
    episodes(THREE, 1, 4),
    ['smallest class, 3 exemplars; got length 4'],
  ),
  'two of one-object classes': (
    episodes(SINGLE, 1, 2),
    ['smallest class, 1 exemplars; got length 2'],
  ),
  'C beyond the data': (episodes(THREE, 1, 1, 4), ['must be <= 3', 'got 4']),
  'classes of words': (episodes(TEXTS, 1, 2, 2), ['one document', '2 classes']),
  'words put back': (
    episodes(TEXTS, 1, 2, replacement=True),
    ['replacement is not for words'],
  ),
  'turned words': (
    episodes(TEXTS, 1, 2, dihedral=True),
    ['dihedral is not for words'],
  ),
  'a task of one-object classes': (
    lambda: sample_tasks(KEY, SINGLE, 1, 2, 1),
    ['smallest class, 1 exemplars; got length 2'],
  ),
  # questions
  'support of one concept': (sampler(jnp.zeros((3, *SHAPE))), ['[rows, N,']),
  'support of another size': (
    sampler(jnp.zeros((1, 3, 5, 5, 1))),
    ['[1, 3, 5, 5, 1]'],
  ),
  'a mask of another size': (
    sampler(jnp.zeros((1, 3, *SHAPE)), jnp.ones((1, 2), bool)),
    ['bool [1, 3]', '[1, 2]'],
  ),
  'a mask of numbers': (
    sampler(jnp.zeros((1, 3, *SHAPE)), jnp.ones((1, 3))),
    ['bool [1, 3]', 'float32'],
  ),
  # runs
  'data that do not exist': (
    lambda: sources.load('folder', data_dir='/no/such/folder'),
    ["'/no/such/folder'"],
  ),
  'no run': (
    lambda: runs.load_run(pathlib.Path('/no/run')),
    ['must hold a run', '/no/run'],
  ),
}


@pytest.mark.parametrize('name', MISTAKES)
def test_a_mistake_is_one_line(name):
  call, expected = MISTAKES[name]
  with pytest.raises(InputError) as caught:
    call()
  check_message(str(caught.value), expected)


def test_what_looks_like_a_mistake_and_is_none():
  assert Config(learning_rate=1).learning_rate == 1
  assert dataclasses.replace(Config(), seed=2**31 - 1).seed == 2**31 - 1
  for spec in (EpisodeSpec(1, 1), EpisodeSpec(1, 9, 3, replacement=True)):
    shape = jax.eval_shape(lambda spec=spec: sample_episodes(KEY, SINGLE, spec))
    assert shape.objects.shape == (1, spec.length, *SHAPE)
  assert build(mlp_depth=0)()
