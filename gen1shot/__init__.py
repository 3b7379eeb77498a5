"""One-shot and few-shot generative models in JAX and Flax."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
  from gen1shot.shipped import Loaded

__version__ = '0.1.0'


def names() -> tuple[str, ...]:
  """The trained models that come with the package."""
  from gen1shot import shipped

  return shipped.names()


def load(name: str) -> 'Loaded':
  """A trained model: (module, params, card), by one of `names()`.

  JAX is imported here and not with the package, whose version is read to
  build it.

  Raises:
    InputError: no such model, or files that are not as they were written.
  """
  from gen1shot import shipped

  return shipped.load(name)
