"""How many devices a CPU is, which a process decides once."""

import os
import subprocess
import sys

import binaries
import pytest
from tiny import rows_of

from gen1shot import zoo
from gen1shot.compilation import gains_from_devices

PROGRAM = """
import jax
from gen1shot import parallel
print(parallel.split_cores(), jax.device_count())
"""
UNSET = ('JAX_NUM_CPU_DEVICES', 'XLA_FLAGS')
MANY = len(os.sched_getaffinity(0)) > 1


@pytest.mark.parametrize(
  ('told', 'expected'),
  [
    ({}, 'True 2' if MANY else 'False 1'),
    ({'JAX_NUM_CPU_DEVICES': '3'}, 'False 3'),
    ({'JAX_NUM_CPU_DEVICES': '1'}, 'False 1'),
    ({'XLA_FLAGS': '--xla_force_host_platform_device_count=4'}, 'False 4'),
  ],
)
def test_cores_are_split_unless_the_user_says(told, expected):
  kept = {name: x for name, x in os.environ.items() if name not in UNSET}
  environment = kept | {'JAX_PLATFORMS': 'cpu'} | told
  found = subprocess.run(
    [sys.executable, '-c', PROGRAM],
    env=environment,
    capture_output=True,
    text=True,
    check=True,
  )
  assert found.stdout.strip() == expected


@pytest.mark.parametrize(
  ('model', 'preset', 'changed', 'expected'),
  [
    ('gmn', 'conv', {}, True),
    ('statistician', 'small', {}, True),
    ('statistician', 'points', {}, False),
    ('draw', 'small', {}, False),
    ('draw', 'small', {'recurrent_steps': 20}, True),
    ('neural_lm', 'small', {}, False),
  ],
)
def test_image_nets_and_long_loops_gain(model, preset, changed, expected):
  fields = zoo.module_fields(model, preset, changed)
  assert gains_from_devices(fields) == expected


def trained(folder, told):
  """Norms of gradients of mixers in a training by the binary; odd batch."""
  kept = {k: v for k, v in binaries.ENVIRONMENT.items() if k not in UNSET}
  changed = {'nets': 'mixer', 'features': 16, 'c_dim': 16, 'z_dim': 16}
  changed |= {'batch_size': 3}
  done = subprocess.run(
    [
      sys.executable,
      binaries.binary('train'),
      '--steps=4',
      f'--workdir={folder}',
      *binaries.FIELDS,
      *(f'--config.{name}={x}' for name, x in changed.items()),
    ],
    env=kept | {'JAX_PLATFORMS': 'cpu'} | told,
    capture_output=True,
    text=True,
    timeout=500,
    check=True,
  )
  rows = [row for row in rows_of(folder) if 'gradient_norm' in row]
  return done.stdout, [row['gradient_norm'] for row in rows]


def test_image_nets_train_on_two_devices_as_on_one(tmp_path):
  by_itself, norms = trained(tmp_path / 'by_itself', {})
  told, alone = trained(tmp_path / 'told', {'JAX_NUM_CPU_DEVICES': '1'})
  assert f'on {2 if MANY else 1} x cpu' in by_itself
  assert 'on 1 x cpu' in told
  assert len(norms) == 4
  assert norms == pytest.approx(alone, rel=1e-3)
