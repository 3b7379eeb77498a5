"""Draws what runs learned, step by step, and writes the numbers beside it.

  python experiments/curves.py --workdir=runs/gmn,runs/vae --out=curves.png

The CSV file, of the same name, has a row a run and record: run, part, step and
the metric, which is in nats per object for `bound`.
"""

import csv
import io
import pathlib

import figures
from absl import flags

from gen1shot import commandline, files, workdir
from gen1shot.errors import InputError, check_choice

FLAGS = flags.FLAGS
flags.DEFINE_list('workdir', None, 'of one or several trainings')
flags.DEFINE_string('metric', 'bound', 'a column of metrics.jsonl')
flags.DEFINE_enum('part', 'valid', ['valid', 'train'], 'of the data')
flags.DEFINE_string('out', 'curves.png', 'the picture')
flags.mark_flag_as_required('workdir')


def main() -> None:
  out = pathlib.Path(FLAGS.out).expanduser()
  if out.suffix != '.png':
    raise InputError(f'out must be the name of a .png file; got {out}')
  if not FLAGS.workdir:
    raise InputError('workdir must name a run; got none')
  curves = {}
  for name in FLAGS.workdir:
    folder = pathlib.Path(name).expanduser()
    if folder.name in curves:
      raise InputError(
        f'folders of workdir must have names of their own; got {folder.name} '
        'twice'
      )
    curves[folder.name] = _curve(folder)
  text = io.StringIO()
  table = csv.writer(text, lineterminator='\n')
  table.writerow(['run', 'part', 'step', FLAGS.metric])
  for run, points in curves.items():
    table.writerows([run, FLAGS.part, *point] for point in points)
  label = f'{FLAGS.metric}, {FLAGS.part}'
  figures.save(figures.curves(curves, label), out)
  files.write_text(out.with_suffix('.csv'), text.getvalue())
  print(f'curves: {out}')


def _curve(folder: pathlib.Path) -> list[tuple[int, float]]:
  """(step, metric) of a run's records.

  Raises:
    InputError: there are none.
  """
  rows = workdir.read_metrics(folder)
  rows = [row for row in rows if row['part'] == FLAGS.part]
  if not rows:
    raise InputError(
      f'{folder} must have records of part {FLAGS.part}; got none'
    )
  # Stages of a training may record different metrics.
  known = set().union(*rows) - {'step', 'part'}
  check_choice('metric', FLAGS.metric, sorted(known))
  return [
    (row['step'], row[FLAGS.metric]) for row in rows if FLAGS.metric in row
  ]


if __name__ == '__main__':
  commandline.run(main)
