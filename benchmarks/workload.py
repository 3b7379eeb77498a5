"""What the benchmarks run: training steps of presets of the zoo."""

import functools
import time

import jax
import jax.numpy as jnp
import numpy as np

from gen1shot import parallel, zoo
from gen1shot.compilation import jit_step, steps_at_once
from gen1shot.config import Config
from gen1shot.data import sources
from gen1shot.data.episodes import Dataset, ImageClasses, blank_objects
from gen1shot.training import init_state, make_train_step, repeat

CLASSES = 64  # of images on the device


def load_dataset(name: str) -> Dataset:
  """The training part; of glyphs some classes that lie on the device."""
  train = sources.load(name).train
  if train.kind != 'images':
    return train
  classes, exemplars = jnp.arange(CLASSES), jnp.arange(train.smallest_class)
  draw = jax.vmap(jax.vmap(train.exemplar, (None, 0)), (0, None))
  images = jax.jit(draw)(classes, exemplars)
  return ImageClasses.stack(list(np.array(images, 'u1')))


class TrainingStep:
  """The step of a configuration, compiled; a call takes some and waits.

  It takes as many as in training between distant records. They are spread over
  so many devices, all for None.
  """

  def __init__(
    self, config: Config, dataset: Dataset, devices: int | None = None
  ) -> None:
    key = jax.random.key(config.seed)
    shape = dataset.object_shape
    module = zoo.build(config.model, config.preset, shape, **config.fields)
    example = blank_objects(dataset.kind, shape, config.episode_length)
    state = init_state(module, config, example, key)
    self._state, self._dataset, self._key = parallel.replicate(
      (state, dataset, key), devices
    )
    self.function = make_train_step(module, config)  # on one device
    self._at_once = steps_at_once(module, most=100)
    axis = None if devices == 1 else parallel.axis_name()
    step = make_train_step(module, config, axis)
    steps = step if self._at_once == 1 else repeat(step, self._at_once)
    start = time.perf_counter()
    jit = functools.partial(jit_step, module)
    spread = parallel.spread(steps, jit, (0,), devices)
    self.program = spread.lower(*self.arguments).compile()
    self.compile_seconds = time.perf_counter() - start

  def __call__(self) -> int:
    self._state, metrics = self.program(*self.arguments)
    jax.block_until_ready((self._state, metrics))
    return self._at_once

  @property
  def arguments(self):
    """Of the step, as it will be called next."""
    return self._state, self._dataset, self._key

  @property
  def parameters(self) -> int:
    """How many numbers are trained."""
    return sum(leaf.size for leaf in jax.tree.leaves(self._state.params))

  @property
  def memory_bytes(self) -> int:
    """Of arguments, results and temporaries of the program."""
    memory = self.program.memory_analysis()
    return (
      memory.argument_size_in_bytes
      + memory.output_size_in_bytes
      + memory.temp_size_in_bytes
      - memory.alias_size_in_bytes
    )
