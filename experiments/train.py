"""Trains a model of the zoo on episodes, and draws what it has learned.

  python experiments/train.py --model=statistician
  python experiments/train.py --model=statistician --dataset=omniglot \
    --data_dir=... --config.learning_rate=5e-4

Writes config.json, data.json, start.json, metrics.jsonl, TensorBoard events,
checkpoints/ and samples/ to the workdir; the same command goes on where it was
interrupted. With --start_from or --load it is a next stage of what was trained
before. A batch is spread over all devices; a CPU is two of them, where that is
faster and JAX_NUM_CPU_DEVICES does not say how many. Of several hosts each runs
the command, with a workdir that all of them see.
"""

import pathlib

import config_flags
from absl import flags

from gen1shot import commandline, compilation, parallel, runs, stages, zoo
from gen1shot.data import sources
from gen1shot.errors import InputError

FLAGS = flags.FLAGS
flags.DEFINE_string('model', 'statistician', f'one of {", ".join(zoo.ZOO)}')
flags.DEFINE_string('preset', 'small', 'sizes and training of that model')
flags.DEFINE_string(
  'dataset', None, f'one of {", ".join(sources.SOURCES)}; default per preset'
)
flags.DEFINE_string('data_dir', None, 'folder of the files of the data set')
flags.DEFINE_string('workdir', None, 'default runs/<model>-<dataset>')
flags.DEFINE_integer('steps', None, 'optimiser steps; default per preset')
flags.DEFINE_integer('seed', None, 'of the whole run; default per preset')
flags.DEFINE_string(
  'coordinator',
  None,
  'of several hosts: host:port of process 0, with --processes and --process; '
  'or auto, for what the environment says (Cloud TPU, Slurm, Open MPI)',
)
flags.DEFINE_integer('processes', None, 'how many there are')
flags.DEFINE_integer('process', None, 'the number of this one, from 0')
flags.DEFINE_string(
  'start_from',
  None,
  'workdir of a run of the same module and data, whose best checkpoint a new '
  'one goes on from: a next stage of training',
)
flags.DEFINE_string(
  'load',
  None,
  'model of the package that a new run goes on from; see start_from',
)
flags.DEFINE_bool('resume', True, 'go on with the run found in the workdir')


def main() -> None:
  parallel.join_hosts(FLAGS.coordinator, FLAGS.processes, FLAGS.process)
  compilation.enable_cache()
  config = config_flags.configured(
    data_dir=FLAGS.data_dir, steps=FLAGS.steps, seed=FLAGS.seed
  )
  if FLAGS.coordinator is None and compilation.gains_from_devices(
    config.fields
  ):
    parallel.split_cores()
  workdir = FLAGS.workdir or f'runs/{config.model}-{config.dataset}'
  folder = pathlib.Path(workdir).expanduser()
  runs.train_and_evaluate(config, folder, FLAGS.resume, _start())


def _start() -> stages.Start | None:
  """What the run goes on from, where it is a next stage."""
  if FLAGS.load and FLAGS.start_from:
    raise InputError('give one of --start_from and --load; got both')
  if FLAGS.load:
    return stages.FromPackage(FLAGS.load)
  if FLAGS.start_from:
    return stages.FromRun(pathlib.Path(FLAGS.start_from).expanduser())
  return None


if __name__ == '__main__':
  commandline.run(main, config_flags.define)
