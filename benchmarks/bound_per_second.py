"""Which image nets learn most in a given time: held-out bound per second.

  python -m benchmarks.bound_per_second --dataset=omniglot --data_dir=...
  python -m benchmarks.bound_per_second --model=gmn

Trains a model around each family of nets, in turns in one process, so that all
see the same machine, and validates after equal times of training. The learning
rate does not decay, because nobody knows how many steps the time is enough for.
"""

import dataclasses
import time
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from absl import flags

from benchmarks import report
from experiments.configs import get_config
from gen1shot import commandline, zoo
from gen1shot.compilation import jit, jit_step
from gen1shot.config import Config
from gen1shot.data import sources
from gen1shot.errors import InputError, check_choice
from gen1shot.progress import say
from gen1shot.training import init_state, make_train_step, make_validation

FLAGS = flags.FLAGS
flags.DEFINE_string('model', 'statistician', 'what learns')
flags.DEFINE_string('dataset', 'glyphs', 'what to learn')
flags.DEFINE_string('data_dir', None, 'folder of the files of the data set')
flags.DEFINE_float('seconds', 240.0, 'of training, for each family')

# model -> family -> the fields that differ from those of `small`, the training
# of which all share. The widths give steps of comparable cost.
FAMILIES: dict[str, dict[str, dict[str, Any]]] = {
  'statistician': {
    'mixer': {},
    'conv': {'nets': 'conv', 'width': 16},
    'dense': {'nets': 'dense', 'width': 512},
  },
  'gmn': {'mixer': {}, 'conv': dict(zoo.ZOO['gmn'].presets['conv'])},
}
POINTS = 8  # validations of each family


def configure(fields: dict[str, Any]) -> Config:
  config = get_config(FLAGS.model, 'small', FLAGS.dataset)
  fields = config.fields | fields
  return dataclasses.replace(config, steps=10**9, fields=fields)


def learn(config: Config, source: sources.Source) -> Iterator[dict[str, float]]:
  """Trains on and on; yields after each share of the time."""
  shape = source.train.object_shape
  module = zoo.build(config.model, config.preset, shape, **config.fields)
  key = jax.random.key(config.seed)
  example = jnp.zeros((config.episode_length, *shape))
  state = init_state(module, config, example, key)
  step = jit_step(module, make_train_step(module, config), donate_argnums=0)
  validate = jit(make_validation(module, config))
  state, _ = step(state, source.train, key)  # compiles
  taken = 0.0
  while True:
    start = time.monotonic()
    while time.monotonic() - start < FLAGS.seconds / POINTS:
      state, metrics = step(state, source.train, key)
      jax.block_until_ready(metrics)
    taken += time.monotonic() - start
    bound = validate(state.averaged, source.valid, key)['bound']
    yield {'seconds': taken, 'step': int(state.step), 'bound': float(bound)}


def draw(figure: Any, rows: Sequence[dict[str, Any]]) -> None:
  panel = figure.add_subplot(xlabel='seconds', ylabel='bound, nats/object')
  for name in dict.fromkeys(row['nets'] for row in rows):
    own = [row for row in rows if row['nets'] == name]
    panel.plot(
      [row['seconds'] for row in own],
      [row['bound'] for row in own],
      'o-',
      label=name,
    )
  panel.legend()


def main() -> None:
  check_choice('model', FLAGS.model, FAMILIES)
  if not FLAGS.seconds > 0:
    raise InputError(f'seconds must be > 0; got {FLAGS.seconds}')
  configs = {
    name: configure(fields) for name, fields in FAMILIES[FLAGS.model].items()
  }
  record = report.begin()
  source = sources.load(FLAGS.dataset, data_dir=FLAGS.data_dir)
  runs = {name: learn(config, source) for name, config in configs.items()}
  rows = []
  say(f'{"nets":8}{"seconds":>9}{"steps":>8}{"bound":>10}')
  for _ in range(POINTS):
    for name, run in runs.items():
      row = next(run)
      rows.append({'nets': name, **row})
      say(f'{name:8}{row["seconds"]:9.0f}{row["step"]:8d}{row["bound"]:10.2f}')
  report.finish(
    f'bound-per-second-{FLAGS.model}-{FLAGS.dataset}',
    record,
    rows,
    lambda figure: draw(figure, rows),
  )


if __name__ == '__main__':
  commandline.run(main)
