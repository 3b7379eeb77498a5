"""What the benchmarks run: training steps of presets of the zoo."""

import time
from collections.abc import Collection

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from experiments.configs import get_config
from gen1shot import parallel, zoo
from gen1shot.compilation import jit_step
from gen1shot.config import Config
from gen1shot.data import sources
from gen1shot.data.episodes import Dataset, ImageClasses, blank_objects
from gen1shot.errors import check_choice
from gen1shot.training import init_state, make_train_step

FLAGS = flags.FLAGS
flags.DEFINE_list('models', None, 'names of the zoo; default all that fit')
flags.DEFINE_list('presets', None, 'those to measure; default all')

NEED_NO_FILES = ('glyphs', 'distributions', 'bars')
CLASSES = 64  # of images on the device


def chosen(datasets: Collection[str]) -> list[Config]:
  """The configurations on these data sets that the flags ask for.

  Those of models that learn by steps, and are not fitted in closed form.

  Raises:
    InputError: a flag has no meaning.
  """
  configs = [
    config
    for model, entry in zoo.ZOO.items()
    for config in (get_config(model, preset) for preset in entry.presets)
    if config.dataset in datasets and not hasattr(entry.module, 'fit')
  ]
  for flag, field in (('models', 'model'), ('presets', 'preset')):
    known = {getattr(config, field) for config in configs}
    for name in FLAGS[flag].value or ():
      check_choice(flag, name, known)
  return [
    config
    for config in configs
    if config.model in (FLAGS.models or zoo.ZOO)
    and config.preset in (FLAGS.presets or zoo.ZOO[config.model].presets)
  ]


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
  """The step of a configuration, compiled; a call takes one and waits.

  It is spread over so many devices, all for None.
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
    axis = None if devices == 1 else parallel.axis_name()
    start = time.perf_counter()
    step = parallel.spread(
      make_train_step(module, config, axis), jit_step, (0,), devices
    )
    self.program = step.lower(*self.arguments).compile()
    self.compile_seconds = time.perf_counter() - start

  def __call__(self) -> None:
    self._state, metrics = self.program(*self.arguments)
    jax.block_until_ready((self._state, metrics))

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
