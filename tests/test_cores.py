"""How many devices a CPU is, which a process decides once."""

import os
import subprocess
import sys

import pytest

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
