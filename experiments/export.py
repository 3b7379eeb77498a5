"""Makes of a run a model that comes with the package: its weights and a card.

  python experiments/export.py --workdir=runs/gmn-omniglot --name=gmn-omniglot \
    --hardware='one NVIDIA H200' --commit=0123abc

Takes the checkpoint that is best on validation, writes <name>.npz and
<name>.json, and reads them again. The card has no figures yet, which
`reproduce.py --write` measures of the weights as they are stored.
"""

import dataclasses
import datetime
import pathlib
import re
import sys

from absl import flags
from config_flags import command_of

from gen1shot import cards, commandline, runs, shipped, storage, workdir
from gen1shot.errors import InputError
from gen1shot.progress import say

FLAGS = flags.FLAGS
flags.DEFINE_string('workdir', None, 'of the training')
flags.DEFINE_string('name', None, 'by which it will be loaded')
flags.DEFINE_string('title', None, 'what it is; default as the model says')
flags.DEFINE_enum('dtype', 'float16', storage.DTYPES, 'of the storage')
flags.DEFINE_string('command', None, 'of the training; default as configured')
flags.DEFINE_string('commit', None, 'of the code that trained it')
flags.DEFINE_string('hardware', None, 'that it was trained on')
flags.DEFINE_float('seconds', None, 'of the training', lower_bound=0.0)
flags.DEFINE_bool('replace', False, 'a model of that name, with its figures')
flags.DEFINE_string('out', str(shipped.FOLDER), 'folder of weights and cards')
flags.mark_flags_as_required(('workdir', 'name'))


def main() -> None:
  if not re.fullmatch(r'[a-z0-9_]+(-[a-z0-9_]+)*', FLAGS.name):
    raise InputError(
      f'name must be of lower-case letters, digits, _ and -; got {FLAGS.name!r}'
    )
  out = pathlib.Path(FLAGS.out).expanduser()
  if FLAGS.name in shipped.names(out) and not FLAGS.replace:
    raise InputError(
      f'name must be new, or --replace the model and its figures; got '
      f'{FLAGS.name}'
    )
  folder = pathlib.Path(FLAGS.workdir).expanduser()
  trained = runs.load_run(folder)
  card = cards.Card(
    name=FLAGS.name,
    title=FLAGS.title or title_of(trained),
    # Where the data lay says nothing to anybody else.
    config=dataclasses.replace(trained.config, data_dir=None),
    step=trained.step,
    data=trained.data,
    vocabulary=trained.vocabulary,
    command=FLAGS.command or _command(trained, folder),
    commit=FLAGS.commit,
    hardware=FLAGS.hardware,
    training_seconds=FLAGS.seconds,
    date=datetime.datetime.now(datetime.UTC).date().isoformat(),
    parameters=0,
    dtype=FLAGS.dtype,
    sha256='',
  )
  card = shipped.save(card, trained.params, out)
  shipped.load(card.name, out)
  say(
    f'{card.name}: {card.title}, {card.parameters:,} parameters as '
    f'{card.dtype}, of step {card.step}; written: {out / card.name}.npz, .json'
  )


def _command(trained: runs.Trained, folder: pathlib.Path) -> str:
  """Of the training; of a next stage also what it began with."""
  start = workdir.read_start(folder)
  # Where another run lay says nothing to anybody else.
  where = re.sub('(--start_from)=.*', r'\1=...', start or '')
  return f'{command_of(trained.config)} {where}'.rstrip()


def title_of(trained: runs.Trained) -> str:
  """The first line of what a model's module says of itself."""
  text = sys.modules[type(trained.module).__module__].__doc__ or ''
  return text.partition('\n')[0].rstrip('.')


if __name__ == '__main__':
  commandline.run(main)
