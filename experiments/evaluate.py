"""Scores a trained model on held-out classes, and prints tables.

  python experiments/evaluate.py --workdir=runs/statistician-omniglot

likelihood: predictive log p(x_t | x_<t) at every position, and the joint
figure, with K samples and beside them the one-sample bounds. classification:
5- and 20-way, 1- and 5-shot. Each writes results/<task>.json to the workdir.
"""

import pathlib

import reports
from absl import flags

from gen1shot import commandline, compilation, runs
from gen1shot.errors import check_choice

FLAGS = flags.FLAGS
flags.DEFINE_string('workdir', None, 'of the training')
flags.DEFINE_list('tasks', list(reports.TASKS), 'what to evaluate')
flags.DEFINE_enum('part', 'test', ['test', 'valid', 'train'], 'of the data set')
flags.DEFINE_string('data_dir', None, 'where the data are, if they moved')
flags.DEFINE_integer('seed', 0, 'of the episodes and the noise', lower_bound=0)
flags.DEFINE_integer('num_samples', 1000, 'likelihood: K', lower_bound=1)
flags.DEFINE_integer('episodes', 100, 'likelihood: episodes', lower_bound=2)
flags.DEFINE_integer(
  'length', None, 'likelihood: T; default as trained', lower_bound=1
)
flags.DEFINE_integer('max_classes', 1, 'likelihood: C', lower_bound=1)
flags.DEFINE_bool('replacement', False, 'likelihood: with replacement')
flags.DEFINE_integer(
  'classification_tasks', 100, 'classification: tasks', lower_bound=2
)
flags.DEFINE_integer(
  'classification_samples', 20, 'classification: K', lower_bound=1
)
flags.mark_flag_as_required('workdir')


def main() -> None:
  compilation.enable_cache()
  for task in FLAGS.tasks:
    check_choice('task', task, reports.TASKS)
  folder = pathlib.Path(FLAGS.workdir).expanduser()
  trained = runs.load_run(folder)
  dataset = getattr(trained.load_source(FLAGS.data_dir), FLAGS.part)
  for task in FLAGS.tasks:
    reports.TASKS[task](trained, dataset, FLAGS).publish(
      folder / 'results' / f'{task}.json'
    )


if __name__ == '__main__':
  commandline.run(main)
