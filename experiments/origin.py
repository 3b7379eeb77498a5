"""The flags that say which trained model a binary is about."""

import pathlib

from absl import flags

from gen1shot import runs
from gen1shot.errors import InputError

FLAGS = flags.FLAGS
flags.DEFINE_string('workdir', None, 'of the training')
flags.DEFINE_string(
  'load', None, 'name of a model of the package, in place of a workdir'
)


def load_trained() -> runs.Trained:
  """What the run of --workdir, or the model of --load, has learned.

  Raises:
    InputError: not one of the two flags, or nothing to load there.
  """
  if (FLAGS.workdir is None) == (FLAGS.load is None):
    got = 'neither' if FLAGS.load is None else 'both'
    raise InputError(f'give one of --workdir and --load; got {got}')
  if FLAGS.load is not None:
    return runs.load_shipped(FLAGS.load)
  return runs.load_run(pathlib.Path(FLAGS.workdir).expanduser())
