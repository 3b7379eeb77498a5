"""The training configurations: one file a model, looked up by its name."""

import dataclasses
import importlib

from gen1shot import zoo
from gen1shot.config import Config
from gen1shot.errors import check_choice


def get_config(model: str, preset: str, dataset: str | None = None) -> Config:
  """The configuration of a model's preset on a data set.

  Each file gives `CONFIGS`, preset -> Config, and `VARIANTS`,
  (preset, data set) -> the fields that differ there.

  Raises:
    InputError: no such model or preset.
  """
  zoo.module_fields(model, preset)
  module = importlib.import_module(f'{__name__}.{model}')
  check_choice(f'configuration of {model}', preset, module.CONFIGS)
  config = module.CONFIGS[preset]
  dataset = dataset or config.dataset
  return dataclasses.replace(
    config, dataset=dataset, **module.VARIANTS.get((preset, dataset), {})
  )
