"""Scores a trained model on held-out classes, and prints tables.

  python experiments/evaluate.py --workdir=runs/statistician-omniglot
  python experiments/evaluate.py --load=statistician-omniglot

likelihood: predictive log p(x_t | x_<t) at every position, and the joint
figure, with K samples and beside them the one-sample bounds. classification:
5- and 20-way, 1- and 5-shot. activity: active units of the posterior.
perplexity: of documents, with the KL that their latents cost. probe: what
contexts know of the distributions behind sets of reals. Each writes
results/<task>.json to the workdir, or to shipped/<name> of --load; without
--tasks, all that suit the data.

  python experiments/evaluate.py --workdir=runs/gmn,runs/vae --tasks=table

table: the models of several workdirs side by side, for 1 to 4 classes in an
episode, with and without replacement; written to the first workdir.
"""

import pathlib

import reports
from absl import flags
from comparison import comparison_report

from gen1shot import commandline, compilation, runs
from gen1shot.data.episodes import Dataset
from gen1shot.errors import InputError, check_choice

TABLE = 'table'
SHIPPED = pathlib.Path('shipped')  # results of models of the package
_MOST = 10**6  # samples, episodes or tasks: more fill the memory, or never end

FLAGS = flags.FLAGS
flags.DEFINE_list('workdir', [], 'of the training, or of several')
flags.DEFINE_list('load', [], 'names of models of the package')
flags.DEFINE_list(
  'tasks',
  None,
  f'some of {", ".join((*reports.TASKS, TABLE))}; default those that suit',
)
flags.DEFINE_enum('part', 'test', ['test', 'valid', 'train'], 'of the data set')
flags.DEFINE_string('data_dir', None, 'where the data are, if they moved')
flags.DEFINE_integer(
  'seed',
  0,
  'of the episodes and the noise',
  lower_bound=0,
  upper_bound=2**31 - 1,
)
flags.DEFINE_integer(
  'num_samples',
  None,
  f'K; default {reports.LIKELIHOOD_SAMPLES} of a likelihood, '
  f'{reports.PERPLEXITY_SAMPLES} of a perplexity',
  lower_bound=1,
  upper_bound=_MOST,
)
flags.DEFINE_integer(
  'episodes',
  100,
  'likelihood: episodes',
  lower_bound=2,
  upper_bound=_MOST,
)
flags.DEFINE_integer('length', None, 'T; default as trained', lower_bound=1)
flags.DEFINE_integer('max_classes', 1, 'likelihood: C', lower_bound=1)
flags.DEFINE_bool('replacement', False, 'likelihood: with replacement')
flags.DEFINE_integer(
  'classification_tasks',
  100,
  'classification: tasks',
  lower_bound=2,
  upper_bound=_MOST,
)
flags.DEFINE_integer(
  'classification_samples',
  20,
  'classification: K',
  lower_bound=1,
  upper_bound=_MOST,
)


def main() -> None:
  compilation.enable_cache()
  asked = FLAGS.tasks or ()
  for task in asked:
    check_choice('task', task, (*reports.TASKS, TABLE))
  loaded = load()
  for trained, dataset in loaded.values():
    for task in asked:
      # The table is made of likelihoods.
      needed = 'likelihood' if task == TABLE else task
      reports.check_task(needed, trained.config.dataset, dataset)
  for task in asked or reports.TASKS:
    if task == TABLE:
      publish(comparison_report(loaded, FLAGS), next(iter(loaded)), task)
      continue
    for folder, (trained, dataset) in loaded.items():
      made = reports.TASKS[task]
      if made.suits(trained.config.dataset, dataset):
        publish(made.report(trained, dataset, FLAGS), folder, task)


def load() -> dict[pathlib.Path, tuple[runs.Trained, Dataset]]:
  """Where results go -> the model, and the data to evaluate it on.

  Raises:
    InputError: no models, one twice, or nothing to load where they should be.
  """
  folders = [pathlib.Path(name).expanduser() for name in FLAGS.workdir]
  # Not where train.py would train a model of that name.
  of_package = {SHIPPED / name: name for name in FLAGS.load}
  named = [*folders, *of_package]
  if not named:
    raise InputError('give --workdir, --load or both; got neither')
  if len(set(named)) < len(FLAGS.workdir) + len(FLAGS.load):
    raise InputError(
      f'models must be different; got {",".join(FLAGS.workdir + FLAGS.load)}'
    )
  trained = {folder: runs.load_run(folder) for folder in folders}
  for folder, name in of_package.items():
    trained[folder] = runs.load_shipped(name)
  return {
    folder: (model, getattr(model.load_source(FLAGS.data_dir), FLAGS.part))
    for folder, model in trained.items()
  }


def publish(report: reports.Report, folder: pathlib.Path, task: str) -> None:
  report.publish(folder / 'results' / f'{task}.json')


if __name__ == '__main__':
  commandline.run(main)
