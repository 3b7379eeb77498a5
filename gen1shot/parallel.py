"""The one file that knows devices and hosts.

The same program runs on every device. It takes its share of the keys of a
batch, and sums over the devices make figures and gradients those of the whole
batch, so that they do not depend on how many devices there are. A function that
runs so has an argument `axis_name`, None where it runs alone.
"""

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gen1shot.errors import InputError

AXIS = 'devices'


def split_cores() -> bool:
  """Makes two devices of a CPU of several cores; before the first computation.

  Returns:
    Whether it did: not where the user says how many, by JAX_NUM_CPU_DEVICES or
    XLA_FLAGS.
  """
  by_jax = jax.config.values['jax_num_cpu_devices'] >= 0
  by_xla = 'host_platform_device_count' in os.environ.get('XLA_FLAGS', '')
  if by_jax or by_xla or _cores() < 2:
    return False
  jax.config.update('jax_num_cpu_devices', 2)
  return True


def a_core_each() -> bool:
  """Whether no device of a CPU has more than one core of this process."""
  return jax.default_backend() == 'cpu' and jax.local_device_count() >= _cores()


def _cores() -> int:
  """How many this process may use; of other systems than Linux, all."""
  if hasattr(os, 'sched_getaffinity'):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def join_hosts(
  coordinator: str | None, processes: int | None, process: int | None
) -> None:
  """Makes this process one of several; before the first computation.

  Args:
    coordinator: host:port of process 0; auto for what the environment says
      (Cloud TPU, Slurm, Open MPI); None for a process alone.
    processes: how many there are, where it is not auto.
    process: the number of this one, from 0; likewise.

  Raises:
    InputError: arguments that do not fit, or an environment that says nothing.
  """
  numbers = processes, process
  if coordinator in (None, 'auto'):
    fits = numbers == (None, None)
  else:
    host, _, port = coordinator.rpartition(':')
    fits = (
      host != ''
      and port.isdecimal()
      and 0 < int(port) < 2**16
      and None not in numbers
      and 0 <= cast(int, process) < cast(int, processes)
    )
  if not fits:
    raise InputError(
      'coordinator must be host:port with 0 <= process < processes, or auto '
      f'without them; got coordinator={coordinator}, processes={processes}, '
      f'process={process}'
    )
  if coordinator is None:
    return
  try:
    jax.distributed.initialize(
      None if coordinator == 'auto' else coordinator, *numbers
    )
  except (RuntimeError, ValueError) as e:
    raise InputError(
      'coordinator must name a process that is found, or be auto where JAX '
      f'knows the environment; got {coordinator}: {e}'
    ) from e


def is_first() -> bool:
  """Whether this is the process that writes and talks."""
  return jax.process_index() == 0


def several_hosts() -> bool:
  """Whether this process is one of several."""
  return jax.process_count() > 1


def all_stop_at(time: int, alone: bool) -> bool:
  """Whether SIGTERM asks to stop; `alone` is what a host by itself has heard.

  Of several hosts one may have heard it: all agree on a time to come. `time`
  counts how often they asked: 1, 2, 3 and so on.
  """
  if not several_hosts():
    return alone
  return multihost_utils.reached_preemption_sync_point(time)


def meet(name: str) -> None:
  """Waits until all processes are here; each place has a name of its own."""
  if several_hosts():
    multihost_utils.sync_global_devices(name)


def axis_name() -> str | None:
  """AXIS if there are several devices, here or elsewhere."""
  return AXIS if jax.device_count() > 1 else None


def devices_here() -> int:
  """How many devices this process spreads its work over."""
  return jax.local_device_count() if axis_name() else 1


def wait(metrics: Any) -> None:
  """Waits for a step where it must be waited for.

  With many steps of several CPU devices under way jaxlib 0.10.2 comes to a
  halt.
  """
  if jax.default_backend() == 'cpu' and axis_name():
    jax.block_until_ready(metrics)


def spread(
  function: Callable[..., Any],
  jit: Callable[..., Any] = jax.jit,
  donate_argnums: tuple[int, ...] = (),
  devices: int | None = None,
) -> Callable[..., Any]:
  """Compiles a function of trees for all devices.

  Args:
    function: runs on every device on the same arguments; returns the same on
      each, or its results are lost. With several devices it is run under AXIS.
    jit: the compiler, where all devices are of this process.
    donate_argnums: of arguments whose memory the results may take.
    devices: how many of this process are used; None for all.
  """
  if axis_name() is None or devices == 1:
    return jit(function, donate_argnums=donate_argnums)
  mine = np.arange(devices or devices_here())

  @functools.cache
  def mapped(arguments: int, donate_argnums: tuple[int, ...] = ()):
    return jax.pmap(
      lambda _, *args: function(*args),
      AXIS,
      in_axes=(0, *[None] * arguments),
      out_axes=None,
      donate_argnums=donate_argnums,
    )

  if not several_hosts():
    return jit(
      lambda *args: mapped(len(args))(mine, *args),
      donate_argnums=donate_argnums,
    )

  # A program of several processes is compiled by pmap alone, which puts
  # arguments where they belong by itself.
  donated = tuple(i + 1 for i in donate_argnums)

  def call(*args: Any) -> Any:
    with jax.transfer_guard('allow'):
      return mapped(len(args), donated)(mine, *args)

  return call


def one_each(function: Callable[..., Any], devices: int) -> Callable[..., Any]:
  """A function of something for each of so many devices.

  Args:
    function: `function(given, *own)`, which runs on every device of what is
      given to all and of its own.
    devices: how many, of this process.

  Returns:
    `several(given, *owns)` of leaves [devices, ...], as are its results; to be
    compiled.
  """
  if devices == 1:

    def alone(given: Any, *owns: Any) -> Any:
      own = jax.tree.map(lambda leaf: leaf[0], owns)
      return jax.tree.map(lambda leaf: leaf[None], function(given, *own))

    return alone

  def several(given: Any, *owns: Any) -> Any:
    return jax.pmap(function, AXIS, in_axes=(None, *[0] * len(owns)))(
      given, *owns
    )

  return several


def spread_set(function: Callable[..., Any]) -> Callable[..., Any]:
  """Compiles a function of one large set, whose objects are spread.

  Args:
    function: `function(params, support, mask, *rest)`, which runs on every
      device on its share of the support [N, *shape] and of the mask [N], and
      combines what it computes over the devices of AXIS; such as `embed` and
      `predict` of the statistician and of the matching network.

  Returns:
    The same function of a whole support; its mask may be None. What it returns
    is replicated.
  """
  n = jax.local_device_count()

  def share_out(support: jax.Array, mask: jax.Array | None):
    missing = -len(support) % n
    present = jnp.ones(len(support), bool) if mask is None else mask
    return tuple(
      jnp.pad(x, ((0, missing), *[(0, 0)] * (x.ndim - 1))).reshape(
        n, -1, *x.shape[1:]
      )
      for x in (support, present)
    )

  def spread(params: Any, support: jax.Array, mask: Any = None, *rest: Any):
    mapped = jax.pmap(
      function,
      AXIS,
      in_axes=(None, 0, 0, *[None] * len(rest)),
      out_axes=None,
    )
    return mapped(params, *share_out(support, mask), *rest)

  return jax.jit(spread)


def replicate(tree: Any, devices: int | None = None) -> Any:
  """Copies a tree to every device of this process, where steps find it.

  Or only to as many as `devices` says.
  """
  n = devices or devices_here()
  return jax.device_put(tree, _replicated(jax.local_devices()[:n]))


def local(tree: Any) -> Any:
  """The copy of a replicated tree that the first device here has."""
  return jax.tree.map(lambda leaf: leaf.addressable_data(0), tree)


def of_all_hosts(tree: Any) -> Any:
  """A tree that every process holds, as the one copy that they share."""
  if not several_hosts():
    return tree
  everywhere = _replicated(jax.devices())
  return jax.tree.map(
    lambda leaf: jax.make_array_from_process_local_data(
      everywhere, np.asarray(leaf)
    ),
    tree,
  )


def _replicated(devices: Sequence[Any]) -> NamedSharding:
  mesh = Mesh(np.array(devices), (AXIS,))
  return NamedSharding(mesh, PartitionSpec())


def share(
  keys: jax.Array, axis_name: str | None
) -> tuple[jax.Array, jax.Array]:
  """This device's share of the keys of a batch, and what each counts.

  Args:
    keys: [B].
    axis_name: of the devices, n in all.

  Returns:
    Keys [ceil(B / n)] and weights float32 [ceil(B / n)], which sum to 1 over
    all devices. Where n does not divide B, some keys are there twice and count
    0 the second time.
  """
  B = len(keys)
  if axis_name is None:
    return keys, jnp.full(B, 1 / B)
  size = -(-B // jax.lax.axis_size(axis_name))
  index = size * jax.lax.axis_index(axis_name) + jnp.arange(size)
  return keys[jnp.minimum(index, B - 1)], (index < B) / B


def total(tree: Any, axis_name: str | None) -> Any:
  """Sums over devices, of each leaf."""
  return tree if axis_name is None else jax.lax.psum(tree, axis_name)
