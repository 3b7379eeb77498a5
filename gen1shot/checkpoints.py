"""Checkpoints: Orbax, with digests, because Orbax loads flipped bytes.

A checkpoint is sealed with the SHA-256 of every file, which is compared before
Orbax reads any, and holds the SHA-256 of the arrays that were saved.
"""

import contextlib
import hashlib
import json
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from absl import logging
from orbax.checkpoint import v1 as ocp

from gen1shot import files, parallel
from gen1shot.errors import InputError

_DIGEST, _BOUND = 'sha256', 'bound'
_SEAL = 'files.json'
# Orbax's own annotations contradict each other.
_orbax: Any = ocp
_training: Any = ocp.training


class Checkpoints:
  """Saves the checkpoints of one run: the latest few and the best.

  A context manager. What is damaged in the folder must be recovered first.
  """

  def __init__(self, folder: pathlib.Path, keep: int):
    """Opens a folder of checkpoints alone, which need not exist.

    `keep` of the latest are kept, beside the best on validation.
    """
    self._folder = folder
    policies = _training.preservation_policies
    self._checkpointer = _training.Checkpointer(
      folder.absolute(),
      cleanup_tmp_directories=True,
      # The default policy is to save now and then.
      save_decision_policy=(
        _training.save_decision_policies.FixedIntervalPolicy(1)
      ),
      preservation_policy=policies.AnyPreservationPolicy(
        [
          policies.LatestN(keep),
          policies.BestN(
            get_metric_fn=lambda metrics: metrics[_BOUND],
            n=1,
            reverse=False,
            keep_checkpoints_without_metrics=False,
          ),
        ]
      ),
    )

  def __enter__(self) -> 'Checkpoints':
    return self

  def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
    # Orbax raises once more what has failed before; that is on its way already.
    with contextlib.suppress(*(() if kind is None else (Exception,))):
      self._checkpointer.close()

  def save(self, step: int, state: Any, bound: float | None = None) -> None:
    """Saves, and returns when it is done: a kill costs one interval at most.

    Of several hosts all save together, in a folder that all see.

    Args:
      step: later than those that are there.
      state: a tree of arrays.
      bound: ranks it, larger is better; without one it is never the best.

    Raises:
      InputError: the files cannot be written.
    """
    try:
      self._checkpointer.save(
        step,
        parallel.of_all_hosts(state),
        metrics=None if bound is None else {_BOUND: bound},
        custom_metadata={_DIGEST: digest(state)},
      )
      path = self._folder / str(step)
      parallel.meet(f'saved {step}')
      if parallel.is_first():
        files.write_text(path / _SEAL, json.dumps(_digests(path)))
    # Orbax wraps what is wrong with a disk in exceptions of many kinds.
    except Exception as e:
      raise InputError(
        f'checkpoints must be files that can be written; that of step {step} '
        f'could not be, in {self._folder}: {_line(e)}'
      ) from e


def recover(folder: pathlib.Path, like: Any) -> Any | None:
  """The newest intact state, shaped `like`; None without checkpoints.

  Damaged checkpoints are renamed to STEP.damaged: Orbax could not open the
  folder with some of them, and saves nothing older than what it finds.

  Raises:
    InputError: there are checkpoints, and all are damaged.
  """
  newest, damaged = None, []
  for path in newest_first(folder):
    state = _attempt(lambda path=path: _load(path, like), path)
    if state is None:
      damaged.append(path)
    elif newest is None:
      newest = state
  if newest is None and damaged:
    raise _all_damaged(folder)
  parallel.meet('recovered')
  for path in damaged if parallel.is_first() else ():
    aside = path.with_suffix('.damaged')
    shutil.rmtree(aside, ignore_errors=True)
    path.rename(aside)
  parallel.meet('damaged are aside')
  return newest


def best(folder: pathlib.Path, like: Any) -> Any | None:
  """The intact state with the largest bound; otherwise as `recover`.

  Only reads, also while another process saves to the folder.
  """
  paths = newest_first(folder)
  records = [
    (_attempt(lambda p=path: _record(p), path), path) for path in paths
  ]
  known = [(record[_BOUND], path) for record, path in records if record]
  failed = len(known) < len(paths)
  # The sort is stable: of equals the newest first.
  for _, path in sorted(known, key=lambda pair: -pair[0]):
    if failed and paths != newest_first(folder):
      break
    state = _attempt(lambda path=path: _load(path, like), path)
    if state is not None:
      return state
    failed = True
  if paths != newest_first(folder):
    return best(folder, like)  # what failed was being replaced
  if paths:
    raise _all_damaged(folder)
  return None


def newest_first(folder: pathlib.Path) -> list[pathlib.Path]:
  """The checkpoints in a folder, damaged or not; none that is being saved."""
  steps = [path for path in folder.glob('*') if path.name.isdecimal()]
  return sorted(steps, key=lambda path: int(path.name), reverse=True)


def _attempt(read: Callable[[], Any], path: pathlib.Path) -> Any | None:
  """What is read of a checkpoint; None, and a warning, if it cannot be."""
  try:
    return read()
  # Orbax wraps what is wrong with a file in exceptions of many kinds.
  except Exception as e:
    if path.exists():  # else a newer one has replaced it
      logging.warning('checkpoint %s skipped: %s', path.name, _line(e))
    return None


def _load(path: pathlib.Path, like: Any) -> Any:
  """The state of a checkpoint; raises whatever is wrong with it."""
  saved = _record(path)[_DIGEST]
  abstract = jax.tree.map(_abstract, parallel.of_all_hosts(like))
  state = parallel.local(_orbax.load(path.absolute(), abstract))
  if digest(state) != saved:
    raise ValueError('its content does not match its digest')
  return state


def _record(path: pathlib.Path) -> dict[str, Any]:
  """The digest and the bound of a checkpoint, -inf where it has none.

  Without a seal, as of a process that was killed before, files may be damaged.
  """
  if (path / _SEAL).exists():
    sealed, found = json.loads((path / _SEAL).read_text()), _digests(path)
    for name in sorted(sealed.keys() | found.keys()):
      if sealed.get(name) != found.get(name):
        raise ValueError(f'{name} is not as it was saved')
  record = _orbax.metadata(path.absolute()).custom_metadata
  metrics = path / 'metrics' / 'metrics'  # Orbax ranks by this file
  bound = json.loads(metrics.read_text())[_BOUND] if metrics.exists() else None
  return {_DIGEST: record[_DIGEST], _BOUND: -np.inf if bound is None else bound}


def _digests(path: pathlib.Path) -> dict[str, str]:
  """SHA-256 of every file of a checkpoint."""
  return {
    str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
    for file in path.rglob('*')
    if file.is_file() and file.name != _SEAL
  }


def _all_damaged(folder: pathlib.Path) -> InputError:
  return InputError(
    'a workdir with checkpoints must have one that is intact and of the module '
    'and version as they are; got '
    f'{len(newest_first(folder))} that are not, in {folder}'
  )


def _line(error: Exception) -> str:
  return (str(error) or type(error).__name__).splitlines()[0][:1000]


def _abstract(leaf: jax.Array) -> jax.ShapeDtypeStruct:
  return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)


def digest(tree: Any) -> str:
  """SHA-256 over names and bytes of the leaves of a tree of arrays."""
  total = hashlib.sha256()
  for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
    total.update(jax.tree_util.keystr(path).encode())
    total.update(np.ascontiguousarray(jax.device_get(leaf)).tobytes())
  return total.hexdigest()
