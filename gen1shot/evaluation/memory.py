"""How many samples are computed at once: as many as there is memory for."""

from collections.abc import Callable
from typing import Any, cast

import jax

from gen1shot import compilation

# On CPU, where memory is not what is scarce: 1000 samples of `statistician` and
# `gmn` took 1.5 s with 10 to 200 MB of temporaries, 1.9 s with 380 MB.
_CPU_BYTES = 128 * 2**20
_FREE_SHARE = 0.5  # of what an accelerator has free


def room() -> int:
  """Bytes that the temporaries of a program may take on the default device."""
  stats = jax.local_devices()[0].memory_stats()
  if not stats or 'bytes_limit' not in stats:
    return _CPU_BYTES
  return int(_FREE_SHARE * (stats['bytes_limit'] - stats['bytes_in_use']))


def compile_to_fit(
  function: Callable[..., Any], num_samples: int, *args: Any
) -> Callable[..., Any]:
  """`function(*args, at_once)` compiled for as many samples at once as fit.

  The compiler says how much memory a program takes, and the program is compiled
  again for fewer samples until that is no more than `room()`, or one sample.

  Args:
    function: computes `num_samples` samples, `at_once` of them at a time; its
      results do not depend on `at_once`.
    num_samples: of all.
    *args: arrays, of the shapes with which the program will be called.

  Returns:
    The program, a function of `args`.
  """
  jitted = cast(Any, compilation.jit(function, static_argnums=len(args)))
  at_once = num_samples
  while True:
    program = jitted.lower(*args, at_once).compile()
    excess = program.memory_analysis().temp_size_in_bytes / room()
    if excess <= 1 or at_once == 1:
      return program
    fitting = max(1, int(at_once / excess))
    chunks = -(-num_samples // fitting)
    at_once = -(-num_samples // chunks)  # chunks of about one size
