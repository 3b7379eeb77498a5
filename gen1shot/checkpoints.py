"""Checkpoints: Orbax, with a digest, because Orbax loads flipped bytes."""

import hashlib
import pathlib
import shutil
from typing import Any

import jax
import numpy as np
from absl import logging
from orbax.checkpoint import v1 as ocp

from gen1shot.errors import InputError

_DIGEST = 'sha256'
# Orbax's own annotations contradict each other here.
_training: Any = ocp.training


class Checkpoints:
  """The checkpoints of one run: the latest few and the best on validation.

  A context manager.
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
      # The default policy is to save now and then.
      save_decision_policy=(
        _training.save_decision_policies.FixedIntervalPolicy(1)
      ),
      preservation_policy=policies.AnyPreservationPolicy(
        [
          policies.LatestN(keep),
          policies.BestN(
            get_metric_fn=lambda metrics: metrics['bound'],
            n=1,
            reverse=False,
            keep_checkpoints_without_metrics=False,
          ),
        ]
      ),
    )

  def __enter__(self) -> 'Checkpoints':
    return self

  def __exit__(self, *_: object) -> None:
    self._checkpointer.close()

  def save(self, step: int, state: Any, bound: float | None = None) -> None:
    """Saves, and returns when it is done: a kill costs one interval at most.

    Args:
      step: larger than those that are there.
      state: a tree of arrays.
      bound: ranks it, larger is better; without one it is never the best.

    Raises:
      InputError: the files cannot be written.
    """
    try:
      self._checkpointer.save(
        step,
        state,
        metrics=None if bound is None else {'bound': bound},
        custom_metadata={_DIGEST: digest(state)},
      )
    # Orbax wraps what is wrong with a disk in exceptions of many kinds.
    except Exception as e:
      raise InputError(
        f'checkpoints must be files that can be written; step {step} could not '
        f'be, in {self._folder}: {_line(e)}'
      ) from e

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
    abstract = jax.tree.map(_abstract, like)
    for checkpoint in checkpoints:
      try:
        state = self._checkpointer.load(checkpoint.step, abstract)
        saved = self._checkpointer.metadata(checkpoint.step).custom_metadata
        if digest(state) == saved[_DIGEST]:
          return state
        reason = 'its content does not match its digest'
      # Orbax wraps what is wrong with a file in exceptions of many kinds.
      except Exception as e:
        reason = _line(e)
      logging.warning('checkpoint %d skipped: %s', checkpoint.step, reason)
    if checkpoints:
      raise InputError(
        'a workdir with checkpoints must have an intact one; got '
        f'{len(checkpoints)} damaged in {self._folder}'
      )
    return None


def set_aside(folder: pathlib.Path, after: int) -> None:
  """Renames the checkpoints of later steps, so that these can be saved again.

  Damaged ones, that is: a run goes on from the newest intact one, and Orbax
  saves nothing that is older than what it finds.
  """
  for path in folder.glob('[0-9]*'):
    if path.name.isdecimal() and int(path.name) > after:
      damaged = path.with_suffix('.damaged')
      shutil.rmtree(damaged, ignore_errors=True)
      path.rename(damaged)


def _line(error: Exception) -> str:
  return (str(error) or type(error).__name__).splitlines()[0]


def _abstract(leaf: jax.Array) -> jax.ShapeDtypeStruct:
  return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)


def digest(tree: Any) -> str:
  """SHA-256 over names and bytes of the leaves of a tree of arrays."""
  total = hashlib.sha256()
  for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
    total.update(jax.tree_util.keystr(path).encode())
    total.update(np.ascontiguousarray(jax.device_get(leaf)).tobytes())
  return total.hexdigest()
