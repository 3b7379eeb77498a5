"""The flags that say which presets a benchmark measures."""

from collections.abc import Collection

from absl import flags

from experiments.configs import get_config
from gen1shot import zoo
from gen1shot.config import Config
from gen1shot.errors import check_choice

FLAGS = flags.FLAGS
flags.DEFINE_list('models', None, 'names of the zoo; default all that fit')
flags.DEFINE_list('presets', None, 'those to measure; default all')

NEED_NO_FILES = ('glyphs', 'distributions', 'bars')


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
