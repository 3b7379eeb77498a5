"""LDA of the zoo beside scikit-learn's, on the bars.

  python -m benchmarks.topics

Both learn from the same documents (`pip install scikit-learn scipy` first): the
wall time of fitting, how far the topics are from the true ones, and held-out
perplexity. scikit-learn's is exp of a variational bound, so ours is given by
the one-sample bound, too. What its bound pays for a posterior over the topics,
which are points in ours, is taken out. Topics are matched one to one; their
distance is L1, from 0 to 2.
"""

import time
from typing import Any

import jax
import numpy as np
from absl import flags

from benchmarks.installed import check_installed
from benchmarks.report import device_slug
from experiments.configs import get_config
from gen1shot import commandline, zoo
from gen1shot.compilation import jit_step
from gen1shot.data import bars, sources
from gen1shot.data.documents import Documents
from gen1shot.data.episodes import blank_objects
from gen1shot.evaluation import perplexity
from gen1shot.progress import say
from gen1shot.training import init_state, make_train_step

FLAGS = flags.FLAGS
flags.DEFINE_integer('num_samples', 100, 'K of the perplexity', lower_bound=1)
flags.DEFINE_multi_integer(
  'iterations', [10, 100], "of scikit-learn's fit", lower_bound=1
)


def distances(topics: np.ndarray) -> np.ndarray:
  """L1 from each true topic to the learned one it is matched with, [10]."""
  from scipy.optimize import linear_sum_assignment

  apart = abs(topics[:, None] - bars.TOPICS[None]).sum(-1)
  return apart[linear_sum_assignment(apart)]


def counts(documents: Documents) -> np.ndarray:
  """How often each document has each word, [N, V]."""
  table = np.zeros((documents.num_classes, documents.vocabulary_size), int)
  document = np.arange(documents.num_classes).repeat(documents.sizes)
  np.add.at(table, (document, np.asarray(documents.words)), 1)
  return table


def perplexity_given_topics(model: Any, table: np.ndarray) -> float:
  """exp of scikit-learn's bound on documents [N, V], a word.

  What its topics cost is in every bound once: twice the documents without the
  documents is what the documents cost alone.
  """
  bound = model.score(np.concatenate([table, table])) - model.score(table)
  return float(np.exp(-bound / table.sum()))


def report(name: str, seconds: float, topics: np.ndarray, figures: str) -> None:
  apart = distances(topics)
  say(
    f'{name:32} {seconds:7.1f} s  L1 {apart.mean():.3f} (worst '
    f'{apart.max():.3f})  perplexity {figures}'
  )


def ours(source: sources.Source) -> None:
  config = get_config('lda', 'small')
  module = zoo.build('lda', 'small', source.train.object_shape)
  key = jax.random.key(config.seed)
  example = blank_objects(
    source.train.kind, source.train.object_shape, config.episode_length
  )
  state = init_state(module, config, example, key)
  start = time.perf_counter()
  step = jit_step(module, make_train_step(module, config), donate_argnums=0)
  step = step.lower(state, source.train, key).compile()
  compiled = time.perf_counter() - start
  start = time.perf_counter()
  for _ in range(config.steps):
    state, _ = step(state, source.train, key)
  jax.block_until_ready(state)
  seconds = time.perf_counter() - start
  params = state.averaged
  topics = module.apply({'params': params}, method='topic_words')
  scores = perplexity.score(
    module, params, source.test, config.episode_length, FLAGS.num_samples, key
  )
  report(
    f'gen1shot, {config.steps} steps',
    seconds,
    np.asarray(topics),
    f'{scores.perplexity()}, of the bound {scores.perplexity_bound()}; '
    f'and {compiled:.1f} s to compile',
  )


def theirs(source: sources.Source, iterations: int) -> None:
  from sklearn.decomposition import LatentDirichletAllocation

  model = LatentDirichletAllocation(
    len(bars.TOPICS),
    doc_topic_prior=bars.ALPHA,
    max_iter=iterations,
    learning_method='batch',
    random_state=0,
  )
  table = counts(source.train)
  start = time.perf_counter()
  model.fit(table)
  seconds = time.perf_counter() - start
  topics = model.components_ / model.components_.sum(1, keepdims=True)
  report(
    f'scikit-learn, {iterations} iterations',
    seconds,
    topics,
    f'{perplexity_given_topics(model, counts(source.test)):.2f}',
  )


def main() -> None:
  check_installed(sklearn='scikit-learn', scipy='scipy')
  say(device_slug())
  source = sources.load('bars')
  ours(source)
  for iterations in FLAGS.iterations:
    theirs(source, iterations)


if __name__ == '__main__':
  commandline.run(main)
