"""The tables of evaluate.py."""

import dataclasses
import json
import pathlib
from collections.abc import Callable
from typing import Any

import jax
from absl import flags

from gen1shot import workdir
from gen1shot.data.episodes import Dataset, EpisodeSpec
from gen1shot.evaluation import classification, likelihood
from gen1shot.evaluation.activity import active_units
from gen1shot.evaluation.likelihood import Figure
from gen1shot.progress import device_name, say
from gen1shot.runs import Trained

ACTIVITY_OBJECTS = 1000


@dataclasses.dataclass(frozen=True)
class Report:
  """A table, and the protocol that its figures belong to."""

  protocol: dict[str, Any]
  rows: list[dict[str, Any]]

  def publish(self, path: pathlib.Path) -> None:
    """Prints the table and writes it as JSON."""
    say('\n' + ', '.join(f'{k} {v}' for k, v in self.protocol.items()))
    cells = [list(self.rows[0])] + [
      ['' if cell is None else str(cell) for cell in row.values()]
      for row in self.rows
    ]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    for row in cells:
      say('  '.join(c.rjust(w) for c, w in zip(row, widths, strict=True)))
    content = {'protocol': self.protocol, 'rows': self.rows}
    text = json.dumps(content, indent=2, default=dataclasses.asdict)
    workdir.write_text(path, text + '\n')
    say(f'written: {path}')


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
  spec = EpisodeSpec(
    FLAGS.episodes,
    FLAGS.length or trained.config.episode_length,
    FLAGS.max_classes,
    FLAGS.replacement,
  )
  estimates = likelihood.estimate(
    trained.module,
    trained.params,
    dataset,
    spec,
    FLAGS.num_samples,
    jax.random.key(FLAGS.seed),
  )
  protocol = _protocol(trained, FLAGS) | {
    'K': FLAGS.num_samples,
    'episodes': spec.batch_size,
    'T': spec.length,
    'C': spec.max_classes,
    'replacement': spec.replacement,
  }
  return Report(protocol, likelihood.summary(estimates))


def classification_report(
  trained: Trained, dataset: Dataset, FLAGS: flags.FlagValues
) -> Report:
  """Accuracy in %: one row for ways x shots, one column a rule."""
  key = jax.random.key(FLAGS.seed)
  rows = []
  for ways in (5, 20):
    for shots in (1, 5):
      row: dict[str, Any] = {'ways': ways, 'shots': shots}
      for rule in classification.RULES:
        share = classification.accuracy(
          trained.module,
          trained.params,
          dataset,
          rule=rule,
          ways=ways,
          shots=shots,
          tasks=FLAGS.classification_tasks,
          num_samples=FLAGS.classification_samples,
          key=key,
        )
        row[rule] = Figure.of(100 * share)
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


TASKS: dict[str, Callable[..., Report]] = {
  'likelihood': likelihood_report,
  'classification': classification_report,
  'activity': activity_report,
}
