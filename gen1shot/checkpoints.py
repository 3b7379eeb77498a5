"""Checkpoints: Orbax, with a digest, because Orbax loads flipped bytes."""

import hashlib
import pathlib
from typing import Any

import jax
import numpy as np
from absl import logging
from orbax.checkpoint import v1 as ocp

from gen1shot import parallel
from gen1shot.errors import InputError

_DIGEST = 'sha256'
# Orbax's own annotations contradict each other here.
_training: Any = ocp.training


class Checkpoints:
  """The checkpoints of one run: the latest few and the best on validation.

  A context manager; leaving it waits for saves under way.
  """

  def __init__(self, folder: pathlib.Path, keep: int | None = None):
    """Opens a folder, which need not exist.

    Args:
      folder: of the checkpoints alone.
      keep: how many of the latest to keep; None is for reading only, while
        another process may be saving there.
    """
    self._folder = folder
    policies = _training.preservation_policies
    self._checkpointer = _training.Checkpointer(
      folder.absolute(),
      cleanup_tmp_directories=keep is not None,
      # The default policy would skip a save while another is in flight.
      save_decision_policy=(
        _training.save_decision_policies.FixedIntervalPolicy(1)
      ),
      preservation_policy=policies.AnyPreservationPolicy(
        [
          policies.LatestN(keep),
          policies.BestN(
            get_metric_fn=lambda metrics: metrics['bound'], n=1, reverse=False
          ),
        ]
      ),
    )

  def __enter__(self) -> 'Checkpoints':
    return self

  def __exit__(self, *_: object) -> None:
    self._checkpointer.close()

  def save(self, step: int, state: Any, bound: float) -> None:
    """Saves in the background; `bound`, larger is better, ranks it.

    Of several processes all save together, in a folder that all see.
    """
    self._checkpointer.save_async(
      step,
      parallel.of_all_hosts(state),
      metrics={'bound': bound},
      custom_metadata={_DIGEST: digest(state)},
    )

  def latest(self, like: Any) -> Any | None:
    """The newest intact state, shaped `like`; None without checkpoints.

    Raises:
      InputError: there are checkpoints, and all are damaged.
    """
    return self._first_intact(list(self._checkpointer.checkpoints)[::-1], like)

  def best(self, like: Any) -> Any | None:
    """The intact state with the largest bound; otherwise as `latest`."""
    ranked = sorted(
      self._checkpointer.checkpoints,
      key=lambda checkpoint: checkpoint.metrics['bound'],
    )
    return self._first_intact(ranked[::-1], like)

  def _first_intact(self, checkpoints: list[Any], like: Any) -> Any | None:
    abstract = jax.tree.map(_abstract, parallel.of_all_hosts(like))
    for checkpoint in checkpoints:
      try:
        state = parallel.local(
          self._checkpointer.load(checkpoint.step, abstract)
        )
        saved = self._checkpointer.metadata(checkpoint.step).custom_metadata
        if digest(state) == saved[_DIGEST]:
          return state
        reason = 'its content does not match its digest'
      # Orbax wraps what is wrong with a file in exceptions of many kinds.
      except Exception as e:
        reason = str(e).splitlines()[0]
      logging.warning('checkpoint %d skipped: %s', checkpoint.step, reason)
    if checkpoints:
      raise InputError(
        'a workdir with checkpoints must have an intact one; got '
        f'{len(checkpoints)} damaged in {self._folder}'
      )
    return None


def _abstract(leaf: jax.Array) -> jax.ShapeDtypeStruct:
  return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)


def digest(tree: Any) -> str:
  """SHA-256 over names and bytes of the leaves of a tree of arrays."""
  total = hashlib.sha256()
  for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
    total.update(jax.tree_util.keystr(path).encode())
    total.update(np.ascontiguousarray(jax.device_get(leaf)).tobytes())
  return total.hexdigest()
