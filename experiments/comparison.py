"""The table of the slides: several models, position by position."""

import pathlib

import jax
import numpy as np
from absl import flags
from reports import LIKELIHOOD_SAMPLES, Report

from gen1shot.data.episodes import Dataset, EpisodeSpec
from gen1shot.errors import InputError
from gen1shot.evaluation import likelihood
from gen1shot.evaluation.likelihood import Figure
from gen1shot.progress import device_name, say
from gen1shot.runs import Trained

COLUMNS = {
  '1st': 0,
  '2nd': 1,
  '3rd': 2,
  '4th': 3,
  '5th': 4,
  '10th': 9,
  '20th': 19,
}
CLASSES = (1, 2, 3, 4)  # C_test
LENGTH = 20  # T, unless the flags say otherwise


def comparison_report(
  runs: dict[pathlib.Path, tuple[Trained, Dataset]], FLAGS: flags.FlagValues
) -> Report:
  """K-sample log p(x_t | x_<t) in nats: a row a protocol and model.

  All models see the same episodes, each in one order. Below each but the first
  stands what it has more than the first one, paired by episode.

  Raises:
    InputError: the models were trained for data of different classes.
  """
  known = {trained.data.fingerprint for trained, _ in runs.values()}
  if len(known) > 1:
    raise InputError(
      'models of one table must be of the same data and split; got '
      + ', '.join(
        f'{folder.name}: {trained.config.dataset} {trained.config.split} of '
        f'split_seed {trained.config.split_seed}'
        for folder, (trained, _) in runs.items()
      )
    )
  config = next(iter(runs.values()))[0].config
  length = FLAGS.length or LENGTH
  num_samples = FLAGS.num_samples or LIKELIHOOD_SAMPLES
  key = jax.random.key(FLAGS.seed)
  episode_key, noise_key = jax.random.split(key)
  rows = []
  for replacement in (False, True):
    for classes in CLASSES:
      spec = EpisodeSpec(FLAGS.episodes, length, classes, replacement)
      first = None
      for folder, (trained, dataset) in runs.items():
        episodes = likelihood.draw(dataset, spec, episode_key)
        figures, _ = likelihood.predictive(
          trained.module,
          trained.params,
          episodes,
          num_samples,
          noise_key,
          orders=1,
        )
        model = f'{trained.config.model} {trained.config.preset}'
        told = {model: figures}
        if first is None:
          first = figures
        else:
          told['more than the first'] = figures - first
        for name, values in told.items():
          row = {
            'replacement': replacement,
            'C_test': classes,
            'model': name,
            'workdir': folder.name,
            **_cells(values),
          }
          rows.append(row)
          say(' '.join(map(str, row.values())))
  protocol = {
    'dataset': config.dataset,
    'split': config.split,
    'part': FLAGS.part,
    'K': num_samples,
    'episodes': FLAGS.episodes,
    'T': length,
    'seed': FLAGS.seed,
    'device': device_name(),
  }
  return Report(protocol, rows)


def _cells(figures: np.ndarray) -> dict[str, Figure]:
  """Episodes [E, T] -> a figure a position."""
  return {
    name: Figure.of(figures[:, t])
    for name, t in COLUMNS.items()
    if t < figures.shape[1]
  }
