"""The tables of evaluate.py."""

import dataclasses
import itertools
import json
import math
import pathlib
from collections.abc import Callable
from typing import Any

import jax
from absl import flags
from measures import likelihood_rows, measure_accuracy

from gen1shot import files
from gen1shot.data.documents import Documents
from gen1shot.data.episodes import Dataset
from gen1shot.data.reals import Reals
from gen1shot.errors import InputError
from gen1shot.evaluation import classification, perplexity
from gen1shot.evaluation.activity import active_units
from gen1shot.evaluation.likelihood import Figure
from gen1shot.evaluation.probe import probe
from gen1shot.progress import device_name, say
from gen1shot.runs import Trained

ACTIVITY_OBJECTS = 1000
PROBE_SETS = 10_000
LIKELIHOOD_SAMPLES = 1000
PERPLEXITY_SAMPLES = 10
FEWEST_WAYS = 5  # of a classification


@dataclasses.dataclass(frozen=True)
class Report:
  """A table, and the protocol that its figures belong to."""

  protocol: dict[str, Any]
  rows: list[dict[str, Any]]

  def show(self) -> None:
    """Prints the table."""
    say('\n' + ', '.join(f'{k} {v}' for k, v in self.protocol.items()))
    cells = [list(self.rows[0])] + [
      ['' if cell is None else str(cell) for cell in row.values()]
      for row in self.rows
    ]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    for row in cells:
      say('  '.join(c.rjust(w) for c, w in zip(row, widths, strict=True)))

  def publish(self, path: pathlib.Path) -> None:
    """Prints the table and writes it as JSON."""
    self.show()
    content = {'protocol': self.protocol, 'rows': self.rows}
    text = json.dumps(content, indent=2, default=_encoded)
    files.write_text(path, text + '\n')
    say(f'written: {path}')


def _encoded(figure: Figure) -> dict[str, float | None]:
  """JSON has no infinity, the standard error of one episode."""
  stderr = figure.stderr if math.isfinite(figure.stderr) else None
  return {'mean': figure.mean, 'stderr': stderr}


def _protocol(trained: Trained, FLAGS: flags.FlagValues) -> dict[str, Any]:
  config = trained.config
  return {
    'model': config.model,
    'preset': config.preset,
    'dataset': config.dataset,
    'split': config.split,
    'part': FLAGS.part,
    'step': trained.step,
    'seed': FLAGS.seed,
    'device': device_name(),
  }


def likelihood_report(
  trained: Trained, dataset: Dataset, FLAGS: flags.FlagValues
) -> Report:
  """Nats per object: one row a number of examples, then the joint figure."""
  length = FLAGS.length or trained.config.episode_length
  num_samples = FLAGS.num_samples or LIKELIHOOD_SAMPLES
  rows = likelihood_rows(
    trained,
    dataset,
    jax.random.key(FLAGS.seed),
    episodes=FLAGS.episodes,
    length=length,
    max_classes=FLAGS.max_classes,
    replacement=FLAGS.replacement,
    num_samples=num_samples,
  )
  protocol = _protocol(trained, FLAGS) | {
    'K': num_samples,
    'episodes': FLAGS.episodes,
    'T': length,
    'C': FLAGS.max_classes,
    'replacement': FLAGS.replacement,
  }
  return Report(protocol, rows)


def classification_report(
  trained: Trained, dataset: Dataset, FLAGS: flags.FlagValues
) -> Report:
  """Accuracy in %: one row for ways x shots, one column a rule.

  Those that the classes of the data are too few or too small for are left out.
  """
  key = jax.random.key(FLAGS.seed)
  rows = []
  for ways, shots in itertools.product((FEWEST_WAYS, 20), (1, 5)):
    if ways > dataset.num_classes or shots + 1 > dataset.smallest_class:
      say(
        f'{ways}-way {shots}-shot left out: there are {dataset.num_classes} '
        f'classes of at least {dataset.smallest_class}'
      )
      continue
    row: dict[str, Any] = {'ways': ways, 'shots': shots}
    for rule in classification.RULES:
      row[rule] = measure_accuracy(
        trained,
        dataset,
        key,
        rule=rule,
        ways=ways,
        shots=shots,
        tasks=FLAGS.classification_tasks,
        num_samples=FLAGS.classification_samples,
      )['accuracy']
    rows.append(row)
  protocol = _protocol(trained, FLAGS) | {
    'K': FLAGS.classification_samples,
    'tasks': FLAGS.classification_tasks,
  }
  return Report(protocol, rows)


def activity_report(
  trained: Trained, dataset: Dataset, FLAGS: flags.FlagValues
) -> Report:
  """Units of the posterior of one object, and how many of them are active."""
  active = active_units(
    trained.module,
    trained.params,
    dataset,
    ACTIVITY_OBJECTS,
    jax.random.key(FLAGS.seed),
  )
  protocol = _protocol(trained, FLAGS) | {'objects': ACTIVITY_OBJECTS}
  return Report(protocol, [{'units': len(active), 'active': int(active.sum())}])


def probe_report(
  trained: Trained, dataset: Reals, FLAGS: flags.FlagValues
) -> Report:
  """What probes read from contexts: accuracy in %, and R^2."""
  length = FLAGS.length or trained.config.episode_length
  scores = probe(
    trained.module,
    trained.params,
    dataset,
    PROBE_SETS,
    length,
    jax.random.key(FLAGS.seed),
  )
  protocol = _protocol(trained, FLAGS) | {'sets': PROBE_SETS, 'T': length}
  rows = [
    {
      'probe': name,
      'family %': Figure.of(100.0 * score.family),
      'mean R2': Figure.of(score.mean),
      'variance R2': Figure.of(score.variance),
    }
    for name, score in scores.items()
  ]
  return Report(protocol, rows)


def perplexity_report(
  trained: Trained, dataset: Documents, FLAGS: flags.FlagValues
) -> Report:
  """Perplexity of all documents, by K samples and by the bound; KL in nats."""
  length = FLAGS.length or trained.config.episode_length
  num_samples = FLAGS.num_samples or PERPLEXITY_SAMPLES
  scores = perplexity.score(
    trained.module,
    trained.params,
    dataset,
    length,
    num_samples,
    jax.random.key(FLAGS.seed),
  )
  protocol = _protocol(trained, FLAGS) | {'K': num_samples, 'T': length}
  row = {
    'passages': len(scores.words),
    'words': int(scores.words.sum()),
    'perplexity': scores.perplexity(),
    'of the bound': scores.perplexity_bound(),
    'KL of a passage': Figure.of(scores.kl),
  }
  return Report(protocol, [row])


@dataclasses.dataclass(frozen=True)
class Task:
  """A table, and the data that it can be made of."""

  report: Callable[..., Report]
  kinds: tuple[str, ...]  # of objects
  datasets: tuple[str, ...] | None = None  # those alone; None for any
  classes: int = 1  # that there are at least, each of two objects if several

  def suits(self, name: str, dataset: Dataset) -> bool:
    """Whether a data set of that name has such a table."""
    return (
      dataset.kind in self.kinds
      and name in (self.datasets or (name,))
      and dataset.num_classes >= self.classes
      and dataset.smallest_class >= min(self.classes, 2)
    )


TASKS = {
  'likelihood': Task(likelihood_report, ('images', 'vectors')),
  'classification': Task(
    classification_report, ('images',), classes=FEWEST_WAYS
  ),
  'activity': Task(activity_report, ('images', 'vectors')),
  'perplexity': Task(perplexity_report, ('words',)),
  'probe': Task(probe_report, ('vectors',), ('distributions',)),
}


def check_task(task: str, name: str, dataset: Dataset) -> None:
  """Raises InputError unless a data set of that name has the table."""
  wanted = TASKS[task]
  if not wanted.suits(name, dataset):
    of_what = ' and '.join(wanted.datasets or wanted.kinds)
    if wanted.classes > 1:
      of_what += f' of {wanted.classes} classes or more, of two or more each'
    raise InputError(
      f'task {task} is for {of_what}; got {name}, of {dataset.kind} in '
      f'{dataset.num_classes} classes of at least {dataset.smallest_class}'
    )
