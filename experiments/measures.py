"""What the cells of the README's tables are measured by."""

from collections.abc import Callable, Mapping
from typing import Any

import jax

from gen1shot.data.documents import Documents
from gen1shot.data.episodes import Dataset, EpisodeSpec
from gen1shot.data.reals import Reals
from gen1shot.evaluation import classification, likelihood, perplexity
from gen1shot.evaluation.likelihood import Figure
from gen1shot.evaluation.probe import probe
from gen1shot.runs import Trained

Figures = Mapping[str, Figure]  # by metric


def likelihood_rows(
  trained: Trained,
  dataset: Dataset,
  key: jax.Array,
  *,
  episodes: int,
  length: int,
  max_classes: int,
  replacement: bool,
  num_samples: int,
) -> list[dict[str, Any]]:
  """Nats per object: one row a number of examples, then the joint figure."""
  spec = EpisodeSpec(episodes, length, max_classes, replacement)
  return likelihood.summary(
    likelihood.estimate(
      trained.module, trained.params, dataset, spec, num_samples, key
    )
  )


def measure_likelihood(
  trained: Trained, dataset: Dataset, key: jax.Array, **protocol: Any
) -> Figures:
  """Nats: predictive-t, its bound-t and gain-t over t = 0; joint, joint-bound.

  The figures of `likelihood_rows`, which takes the protocol.
  """
  *positions, joint = likelihood_rows(trained, dataset, key, **protocol)
  return {
    f'{metric}-{row["examples"]}': row[metric]
    for row in positions
    for metric in ('predictive', 'bound', 'gain')
  } | {'joint': joint['predictive'], 'joint-bound': joint['bound']}


def measure_joint(
  trained: Trained,
  dataset: Dataset,
  key: jax.Array,
  *,
  episodes: int,
  length: int,
  num_samples: int,
) -> Figures:
  """Nats an object: the joint figure alone, for long episodes."""
  episode_key, noise_key = jax.random.split(key)
  drawn = likelihood.draw(dataset, EpisodeSpec(episodes, length), episode_key)
  joint, bound = likelihood.joint(
    trained.module, trained.params, drawn, num_samples, noise_key
  )
  return {'joint': Figure.of(joint), 'joint-bound': Figure.of(bound)}


def measure_accuracy(
  trained: Trained,
  dataset: Dataset,
  key: jax.Array,
  *,
  rule: str,
  ways: int,
  shots: int,
  tasks: int,
  num_samples: int,
) -> Figures:
  """Accuracy in %."""
  share = classification.accuracy(
    trained.module,
    trained.params,
    dataset,
    rule=rule,
    ways=ways,
    shots=shots,
    tasks=tasks,
    num_samples=num_samples,
    key=key,
  )
  return {'accuracy': Figure.of(100.0 * share)}


def measure_probes(
  trained: Trained, dataset: Reals, key: jax.Array, *, sets: int, length: int
) -> Figures:
  """Of each probe PROBE-family in %, PROBE-mean and PROBE-variance, R^2."""
  scores = probe(trained.module, trained.params, dataset, sets, length, key)
  return {
    f'{name}-{target}': Figure.of(values)
    for name, score in scores.items()
    for target, values in (
      ('family', 100.0 * score.family),
      ('mean', score.mean),
      ('variance', score.variance),
    )
  }


def measure_perplexity(
  trained: Trained,
  dataset: Documents,
  key: jax.Array,
  *,
  length: int,
  num_samples: int,
) -> Figures:
  """Perplexity of all documents by K samples and by the bound; KL in nats."""
  scores = perplexity.score(
    trained.module, trained.params, dataset, length, num_samples, key
  )
  return {
    'perplexity': scores.perplexity(),
    'perplexity-of-the-bound': scores.perplexity_bound(),
    'kl': Figure.of(scores.kl),
  }


TASKS: dict[str, Callable[..., Figures]] = {
  'likelihood': measure_likelihood,
  'joint': measure_joint,
  'classification': measure_accuracy,
  'probe': measure_probes,
  'perplexity': measure_perplexity,
}
