"""How functions are compiled: options of a backend, and the cache on disk."""

import os
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import jax
from flax import linen as nn

from gen1shot import allocation, parallel
from gen1shot.nn.canvas import SHORT
from gen1shot.nn.images import CONVOLUTIONS

# With XLA's default scheduler a last, smaller chunk of samples took memory
# beside the others. Steps have no chunks, and were 4 to 16 % slower with this.
_SCHEDULER = {'xla_cpu_scheduler_type': 'CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED'}
# jaxlib 0.10.2 fuses reductions of products so that results from number 32,765
# on are wrong (jax issue 39103); fusions of matrix products alone are right.
_RIGHT = {
  'xla_cpu_experimental_ynn_fusion_type': (
    'LIBRARY_FUSION_TYPE_DOT,LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT'
  )
}
# So are convolutions alone, which one core computes faster in that library.
_OF_CORES = {
  name: f'{types},LIBRARY_FUSION_TYPE_INDIVIDUAL_CONVOLUTION'
  for name, types in _RIGHT.items()
}
# Temporaries are one block, or several that threads keep (`allocation`). jaxlib
# 0.10.2 cannot store a program that has several.
_BLOCKS = {'xla_multiheap_size_constraint_per_heap': allocation.LARGEST}
_NOT_STORED = '.*Multiple temp buffer allocations found'


def jit(function: Callable[..., Any], **kwargs: Any) -> Callable[..., Any]:
  """`jax.jit` with the compiler options that suit the default backend.

  Products are computed in full float32, also on accelerators, which else take
  fewer bits: TF32 on GPUs of NVIDIA, bfloat16 on TPUs.
  """
  if jax.default_backend() != 'cpu':
    exact = jax.default_matmul_precision('float32')(function)
    return jax.jit(exact, **kwargs)
  right = _OF_CORES if parallel.a_core_each() else _RIGHT
  return jax.jit(function, compiler_options=_SCHEDULER | right, **kwargs)


def jit_step(
  module: nn.Module, function: Callable[..., Any], **kwargs: Any
) -> Callable[..., Any]:
  """Likewise for training steps of a module: XLA's scheduler, all fusions.

  On accelerators products have the bits that these take by default.

  On CPU, painters have fusions of products alone: the many small sums of their
  windows are a little faster as they are. Temporaries of more than 64 MiB are
  several blocks where these are kept: a program that is compiled at each start
  for steps that are a tenth faster.

  Reductions of other steps have fewer results than go wrong, or are of other
  kinds: first gradients with and without the fusions agree for the `small` and
  `conv` presets (not `unigram`), `reals` and `points`. Compare them before
  episodes, batches or samples are made much larger on jaxlib 0.10.2.
  """
  if jax.default_backend() != 'cpu':
    return jax.jit(function, **kwargs)
  sums = _RIGHT if hasattr(module, 'paint') else {}
  blocks = _BLOCKS if allocation.keeps_memory() else {}
  return jax.jit(function, compiler_options=sums | blocks, **kwargs)


def gains_from_devices(fields: Mapping[str, Any]) -> bool:
  """Whether two cores take a training step faster as two devices than as one.

  Or as fast: those of image nets, and of long loops. Each core has half of the
  batch, and blocks that are small enough to be kept in memory. Dense nets and
  unrolled loops were slower so or as fast; models of words stay on one device
  unmeasured. Given the fields of the module.
  """
  long = fields.get('recurrent_steps', 0) > SHORT
  return long or fields.get('nets', 'dense') != 'dense'


def steps_at_once(module: nn.Module, most: int) -> int:
  """How many training steps of a module one program takes, of at most so many.

  Between two programs devices wait for the host, which hands on hundreds of
  arrays. On CPU that is 2 to 5 % of a step; there a program takes ten, or one
  where ten do not fit, so that no more than two are compiled, and one of nets
  that convolve: in a loop their gradients are twenty times slower.
  """
  if jax.default_backend() != 'cpu':
    return min(100, most)
  convolves = (
    getattr(module, 'nets', None) in CONVOLUTIONS
    or getattr(module, 'canvas', None) == 'gated'
  )
  return 10 if most >= 10 and not convolves else 1


def enable_cache() -> None:
  """Keeps compiled programs on disk, so that a second start is fast.

  All but those whose temporaries are several blocks (`jit_step`).

  In the folder that JAX_COMPILATION_CACHE_DIR names, else ~/.cache/gen1shot.
  """
  if jax.config.values['jax_compilation_cache_dir'] is None:
    folder = os.path.join(os.path.expanduser('~'), '.cache', 'gen1shot')
    jax.config.update('jax_compilation_cache_dir', folder)
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.0)
  jax.config.update('jax_persistent_cache_min_entry_size_bytes', 0)
  warnings.filterwarnings('ignore', _NOT_STORED)
