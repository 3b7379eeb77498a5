"""The trainer: it learns, repeats itself, and survives what befalls a run."""

import dataclasses
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from gen1shot import runs, training, workdir, zoo
from gen1shot.checkpoints import Checkpoints, digest
from gen1shot.config import Config
from gen1shot.data.episodes import ImageClasses
from gen1shot.errors import InputError
from gen1shot.objectives import objective

ROOT = pathlib.Path(__file__).parent.parent
CONFIG = Config(
  fields=tiny.FIELDS,
  batch_size=8,
  episode_length=3,
  steps=40,
  warmup_steps=5,
  learning_rate=1e-2,
  eval_episodes=50,
)
SHAPE = (5, 5, 1)


@pytest.fixture(scope='module')
def dataset():
  """4 classes of 3 images, each a pattern with one pixel wrong."""
  rng = np.random.default_rng(0)
  classes = rng.integers(0, 2, (4, 3, *SHAPE), dtype=np.uint8)
  classes[:] = classes[:, :1]
  for exemplar in range(3):
    classes[:, exemplar, exemplar, 0] ^= 1
  return ImageClasses.stack(list(classes))


@pytest.fixture(scope='module')
def module():
  return zoo.build('statistician', 'small', SHAPE, **tiny.FIELDS)


@pytest.fixture(scope='module')
def start(module):
  example = jnp.zeros((3, *SHAPE))
  return training.init_state(module, CONFIG, example, jax.random.key(0))


@pytest.fixture(scope='module')
def step(module):
  return jax.jit(training.make_train_step(module, CONFIG))


@pytest.fixture(scope='module')
def trained(step, start, dataset):
  """(states, metrics) of the 40 steps, the first state being `start`."""
  states, rows = [start], []
  for _ in range(CONFIG.steps):
    state, metrics = step(states[-1], dataset, jax.random.key(1))
    states.append(state)
    rows.append(jax.device_get(metrics))
  return states, rows


def assert_same_bits(a, b):
  jax.tree.map(np.testing.assert_array_equal, a, b)


# --- a step


def test_training_raises_the_bound(trained):
  bounds = np.array([metrics['bound'] for metrics in trained[1]])
  # Guessing every pixel costs 25 log 2 = 17.3 nats.
  assert bounds[:5].mean() < -15
  assert bounds[-5:].mean() > bounds[:5].mean() + 2


def test_the_loop_compiles_once(step, trained):
  assert len(trained[1]) > 3
  assert step._cache_size() == 1


def test_steps_are_counted(trained):
  assert [int(state.step) for state in trained[0]] == list(range(41))


def test_the_same_seed_gives_the_same_bits(step, dataset, trained):
  states, rows = trained
  state, metrics = step(states[7], dataset, jax.random.key(1))
  assert_same_bits(state, states[8])
  assert_same_bits(metrics, rows[7])


def test_another_step_draws_other_episodes_and_noise(step, dataset, trained):
  start = trained[0][0]
  later = start.replace(step=jnp.int32(1))
  first, second = (
    step(state, dataset, jax.random.key(1))[1]['bound']
    for state in (start, later)
  )
  assert first != second


def test_average_is_exponential_and_starts_as_a_mean(trained):
  states = trained[0]
  average = np.asarray(jax.tree.leaves(states[0].params)[-1], float)
  for n, state in enumerate(states[1:]):
    decay = min(CONFIG.ema_decay, (n + 1) / (n + 10))
    params = np.asarray(jax.tree.leaves(state.params)[-1], float)
    average = decay * average + (1 - decay) * params
    np.testing.assert_allclose(
      jax.tree.leaves(state.averaged)[-1], average, rtol=1e-4, atol=1e-6
    )
  assert (abs(average - params) > 1e-4).any()


def test_learning_rate_warms_up_and_decays_to_zero():
  optimiser = training.make_optimiser(CONFIG)
  params = {'w': jnp.zeros(3)}
  # Adam moves by the learning rate while the gradient stays the same.
  gradient, state, moves = {'w': jnp.ones(3)}, optimiser.init(params), []
  update = jax.jit(optimiser.update)
  for _ in range(CONFIG.steps + 1):
    updates, state = update(gradient, state)
    moves.append(-float(updates['w'][0]))
  moves = np.array(moves)
  rate = CONFIG.learning_rate
  np.testing.assert_allclose(
    moves[:6], rate * np.arange(6) / 5, atol=1e-3 * rate
  )
  assert moves.argmax() == 5
  assert (np.diff(moves[5:]) < 0).all()
  assert moves[-1] < 1e-3 * rate


def test_gradients_are_clipped():
  config = dataclasses.replace(CONFIG, clip_norm=1.0)
  clip = training.make_optimiser(config)
  params = {'w': jnp.zeros(2)}

  def moments(size):
    gradient = {'w': size * jnp.array([3.0, 4.0])}
    _, state = clip.update(gradient, clip.init(params))
    return digest(state)

  assert moments(1.0) == moments(100.0)  # norms 5 and 500
  assert moments(0.1) != moments(0.01)  # norms 0.5 and 0.05


# --- the objective


def ask(module, start, dataset, config, step=None):
  x = dataset.images[0].astype(jnp.float32)
  value, metrics = jax.jit(
    lambda params: objective(module, config, params, x, jax.random.key(3), step)
  )(start.params)
  return float(value), jax.device_get(metrics)


def test_both_gradients_belong_to_one_value(module, start, dataset):
  values = [
    ask(
      module,
      start,
      dataset,
      dataclasses.replace(CONFIG, gradient=gradient, num_samples=3),
    )
    for gradient in ('dreg', 'plain')
  ]
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), *values
  )


def test_kl_terms_warm_up_in_training_and_count_fully_elsewhere(
  module, start, dataset
):
  config = dataclasses.replace(CONFIG, objective='elbo', kl_warmup=10)
  early, parts = ask(module, start, dataset, config, jnp.int32(0))
  full, _ = ask(module, start, dataset, config)
  kl = parts['kl_local'] + parts['kl_context']
  assert kl > 0
  assert early == pytest.approx(parts['log_likelihood'] - 0.1 * kl, rel=1e-4)
  assert full == pytest.approx(parts['log_likelihood'] - kl, rel=1e-4)


def test_validation_ignores_augmentation(module, start, dataset):
  def validate(config):
    check = jax.jit(training.make_validation(module, config))
    return check(start.params, dataset, jax.random.key(2))

  changed = dataclasses.replace(
    CONFIG, dihedral=True, dilation=True, shift=True, affine=True
  )
  assert_same_bits(validate(CONFIG), validate(changed))


# --- checkpoints

STATE = {
  'weights': jax.random.normal(jax.random.key(0), (300, 20)),
  'step': jnp.int32(0),
}


def state_of(step):
  return {'weights': STATE['weights'] + step, 'step': jnp.int32(step)}


def save(folder, bounds, keep=2):
  """A checkpoint a step 1, 2, ...; returns the steps that were kept."""
  with Checkpoints(folder, keep) as checkpoints:
    for step, bound in enumerate(bounds, 1):
      checkpoints.save(step, state_of(step), bound)
  return sorted(
    int(path.name) for path in folder.iterdir() if path.name.isdecimal()
  )


def reopen(folder, question='latest'):
  with Checkpoints(folder, 2) as checkpoints:
    return getattr(checkpoints, question)(STATE)


def flip(folder):
  """One bit of the largest file, where the weights are."""
  path = max(
    (path for path in folder.rglob('*') if path.is_file()),
    key=lambda path: path.stat().st_size,
  )
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 1
  path.write_bytes(content)


def truncate(folder):
  for path in folder.rglob('*'):
    if path.is_file() and path.stat().st_size > 10_000:
      path.write_bytes(path.read_bytes()[:5000])


def test_the_latest_and_the_best_are_kept(tmp_path):
  assert save(tmp_path, [-5.0, -1.0, -4.0, -3.0, -2.0]) == [2, 4, 5]
  assert_same_bits(reopen(tmp_path, 'latest'), state_of(5))
  assert_same_bits(reopen(tmp_path, 'best'), state_of(2))


def test_a_new_folder_has_no_checkpoint(tmp_path):
  assert reopen(tmp_path / 'new') is None


@pytest.mark.parametrize('damage', [flip, truncate])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
  tmp_path, caplog, damage
):
  save(tmp_path, [-3.0, -2.0, -1.0])
  damage(tmp_path / '3')
  assert_same_bits(reopen(tmp_path), state_of(2))
  assert_same_bits(reopen(tmp_path, 'best'), state_of(2))
  warnings = [record.getMessage() for record in caplog.records]
  assert any('checkpoint 3 skipped' in message for message in warnings)


def test_nothing_but_damaged_checkpoints_is_an_error(tmp_path):
  save(tmp_path, [-3.0, -2.0])
  for path in tmp_path.iterdir():
    flip(path)
  with pytest.raises(InputError, match='2 damaged'):
    reopen(tmp_path)


# --- a run

RUN = dataclasses.replace(
  CONFIG,
  batch_size=2,
  episode_length=2,
  steps=6,
  eval_every=2,
  log_every=1,
  eval_episodes=2,
)


def metrics_of(folder):
  lines = (folder / 'metrics.jsonl').read_text().splitlines()
  return [json.loads(line) for line in lines]


def kept_state(folder, like):
  with Checkpoints(folder / 'checkpoints', 2) as checkpoints:
    return checkpoints.latest(like)


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path, monkeypatch):
  """It names the step, and the checkpoint before is kept."""

  def broken(module, config, params, x, key, step, starts):
    value, metrics = objective(module, config, params, x, key, step, starts)
    # Step 4 is the one that starts from three steps done.
    bad = False if step is None else step == 3
    return jnp.where(bad, jnp.nan, value), metrics

  monkeypatch.setattr(training, 'objective', broken)
  config = dataclasses.replace(RUN, log_every=100)
  with pytest.raises(runs.NonFiniteError, match='at step 4;'):
    runs.train_and_evaluate(config, tmp_path)
  assert runs.load_run(tmp_path).step == 2
  assert max(row['step'] for row in metrics_of(tmp_path)) == 2


def test_a_run_can_be_trained_longer(tmp_path):
  runs.train_and_evaluate(dataclasses.replace(RUN, steps=2), tmp_path)
  state = runs.train_and_evaluate(dataclasses.replace(RUN, steps=4), tmp_path)
  assert int(state.step) == 4
  steps = [
    row['step'] for row in metrics_of(tmp_path) if row['part'] == 'valid'
  ]
  assert steps == [2, 4]


@pytest.fixture(scope='module')
def interrupted(tmp_path_factory):
  """The workdir of a run killed once and resumed, in processes of its own."""
  folder = tmp_path_factory.mktemp('runs') / 'killed'
  values = {
    **tiny.FIELDS,
    'batch_size': 2,
    'episode_length': 2,
    'eval_every': 20,
    'log_every': 10,
    'eval_episodes': 2,
  }
  command = [
    sys.executable,
    ROOT / 'experiments' / 'train.py',
    f'--workdir={folder}',
    '--steps=300',
    *(f'--config.{name}={value}' for name, value in values.items()),
  ]
  environment = os.environ | {'PYTHONPATH': str(ROOT)}

  def start():
    return subprocess.Popen(
      command,
      cwd=folder.parent,
      env=environment,
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
    )

  with start() as process:
    deadline = time.monotonic() + 300
    while not (folder / 'checkpoints' / '20').is_dir():
      assert process.poll() is None, process.stdout.read()
      assert time.monotonic() < deadline
      time.sleep(0.005)
    time.sleep(random.uniform(0, 0.4))
    process.send_signal(signal.SIGKILL)
  assert process.returncode == -signal.SIGKILL
  with start() as process:
    output, _ = process.communicate(timeout=300)
  assert process.returncode == 0, output
  resumed = int(re.search(r'from step (\d+) to 300', output)[1])
  assert 20 <= resumed < 300
  return folder


@pytest.fixture(scope='module')
def whole(interrupted, tmp_path_factory):
  """(workdir, final state) of the same run without interruption."""
  folder = tmp_path_factory.mktemp('runs') / 'whole'
  config, _ = workdir.read_run(interrupted)
  return folder, runs.train_and_evaluate(config, folder)


def test_a_killed_and_resumed_run_ends_with_the_same_bits(interrupted, whole):
  _, state = whole
  resumed = kept_state(interrupted, state)
  assert int(resumed.step) == 300
  assert digest(resumed) == digest(state)
  assert_same_bits(resumed, state)


def test_a_killed_and_resumed_run_logs_every_step_once(interrupted, whole):
  folder, _ = whole

  def rows(folder, part):
    return [row for row in metrics_of(folder) if row['part'] == part]

  for part in ('train', 'valid'):
    steps = [row['step'] for row in rows(interrupted, part)]
    assert steps == sorted(set(steps))
    assert steps == [row['step'] for row in rows(folder, part)]
  assert rows(interrupted, 'valid') == rows(folder, 'valid')


# --- configurations


@pytest.mark.parametrize(
  ('field', 'value'),
  [
    ('batch_size', 0),
    ('episode_length', 0),
    ('max_classes', -1),
    ('num_samples', 0),
    ('steps', 0),
    ('learning_rate', 0.0),
    ('learning_rate', float('nan')),
    ('clip_norm', -1.0),
    ('log_every', 0),
    ('eval_every', 0),
    ('eval_episodes', 0),
    ('keep', 0),
    ('kl_warmup', -1),
    ('warmup_steps', -1),
    ('seed', -1),
    ('split_seed', -1),
    ('ema_decay', 1.0),
    ('ema_decay', -0.1),
    ('objective', 'elbow'),
    ('gradient', 'drag'),
    ('kl_warmup', 100),  # the default objective has no KL terms to weigh
  ],
)
def test_a_value_without_meaning_is_refused(field, value):
  with pytest.raises(InputError) as caught:
    Config(**{field: value})
  assert field in str(caught.value)
  assert str(value) in str(caught.value)


def test_a_configuration_survives_its_file():
  config = dataclasses.replace(CONFIG, data_dir='somewhere', dihedral=True)
  assert Config.from_json(config.to_json()) == config


@pytest.mark.parametrize('text', ['', '{', '[]', '{"widht": 3}'])
def test_a_file_without_a_configuration_is_refused(text):
  with pytest.raises(InputError):
    Config.from_json(text)
