"""A run from start to end: train, validate, save, draw."""

import dataclasses
import pathlib
from importlib.resources.abc import Traversable

import jax
from flax import linen as nn

from gen1shot import (
  building,
  checkpoints,
  compilation,
  lock,
  parallel,
  sheets,
  shipped,
  stages,
  workdir,
  zoo,
)
from gen1shot.bounds import Params
from gen1shot.config import Config
from gen1shot.data import sources
from gen1shot.data.episodes import (
  Dataset,
  Episodes,
  EpisodeSpec,
  sample_episodes,
)
from gen1shot.data.vocabulary import Vocabulary
from gen1shot.errors import InputError
from gen1shot.evaluation import generation
from gen1shot.learning import learn
from gen1shot.objectives import check_objective
from gen1shot.preemption import Notice, PreemptedError
from gen1shot.progress import Progress, device_name, say
from gen1shot.training import TrainState, init_state

_SHEET_ROWS, _SHEET_SAMPLES = 8, 10


def load_source(config: Config) -> sources.Source:
  """The data set of a configuration."""
  return sources.load(
    config.dataset,
    data_dir=config.data_dir,
    split=config.split,
    seed=config.split_seed,
  )


def _keys(config: Config) -> dict[str, jax.Array]:
  names = ('init', 'train', 'valid', 'sheet')
  keys = jax.random.split(jax.random.key(config.seed), len(names))
  return dict(zip(names, keys, strict=True))


def _build(config: Config, data: workdir.Data) -> tuple[nn.Module, TrainState]:
  """The module of a configuration, and its state at step 0."""
  module, example = building.build(config, data)
  return module, init_state(module, config, example, _keys(config)['init'])


@dataclasses.dataclass(frozen=True)
class Trained:
  """What a run has learned."""

  config: Config
  data: workdir.Data
  module: nn.Module
  params: Params  # averaged, of the checkpoint that is best on validation
  step: int
  vocabulary: Vocabulary | None = None  # of the words, where it models words

  def load_source(self, data_dir: str | None) -> sources.Source:
    """The data of the run, from where they are now; None for where they were.

    Raises:
      InputError: they cannot be read, or are not of the same classes.
    """
    source = load_source(
      dataclasses.replace(
        self.config, data_dir=data_dir or self.config.data_dir
      )
    )
    if source.fingerprint != self.data.fingerprint:
      raise InputError(
        'the data must have the classes of the training; got fingerprint '
        f'{source.fingerprint[:12]}, not {self.data.fingerprint[:12]}'
      )
    return source


def load_run(folder: pathlib.Path) -> Trained:
  """What the run in a workdir has learned so far.

  Raises:
    InputError: there is no run, or no intact checkpoint yet.
  """
  config, data = workdir.read_run(folder)
  module, state = _build(config, data)
  state = checkpoints.best(folder / 'checkpoints', state)
  if state is None:
    raise InputError(f'workdir must hold a checkpoint; got {folder}')
  words = data.kind == 'words'
  vocabulary = workdir.read_vocabulary(folder) if words else None
  return Trained(
    config, data, module, state.averaged, int(state.step), vocabulary
  )


def load_shipped(name: str, folder: Traversable = shipped.FOLDER) -> Trained:
  """The same of a trained model that comes with the package.

  Raises:
    InputError: see `shipped.load`.
  """
  module, params, card = shipped.load(name, folder)
  return Trained(
    card.config, card.data, module, params, card.step, card.vocabulary
  )


def train_and_evaluate(
  config: Config,
  folder: pathlib.Path,
  resume: bool = True,
  start: stages.Start | None = None,
) -> TrainState:
  """Trains to `config.steps`, from the latest checkpoint if there is one.

  Without one, from `start` if given: a next stage, which may be trained in
  another way, but has the same module and data.

  Writes to the workdir: config.json, data.json, start.json, metrics.jsonl,
  TensorBoard events, checkpoints/, samples/ and, of words, vocabulary.json.
  Nothing is written before the input has been checked.

  Returns:
    The final state; an interrupted and resumed run ends with the same bits.

  Raises:
    InputError: input that breaks a rule, or a workdir that cannot be written
      or that another process trains in.
    NonFiniteError: the loss is not finite; the message names the step.
    PreemptedError: SIGTERM came; the step reached is saved.
  """
  source = load_source(config)
  fields = zoo.module_fields(config.model, config.preset, config.fields)
  zoo.check_kind(config.model, fields, source.train.kind, config.dataset)
  sets = config.episode_length if config.length_warmup else 1
  config.episodes.check(source.train, sets)
  config.validation_episodes.check(source.valid)
  data = workdir.Data(
    source.fingerprint, source.train.kind, source.train.object_shape
  )
  module, state = _build(config, data)
  check_objective(module, config)
  begins = not workdir.has_begun(folder)
  if begins and start is not None:
    state = stages.begin(start, config, data, state)
  keys = _keys(config)
  sampler = generation.make_sampler(
    module,
    config.episode_length if data.kind == 'vectors' else _SHEET_SAMPLES,
    sheets.METHODS[data.kind],
  )
  shown = _shown(config, source.valid, keys['sheet'])

  workdir.check_run(folder, config, data, resume, start and str(start))
  parallel.meet('checked')  # before the first of several hosts writes
  with lock.hold(folder):
    state = checkpoints.recover(folder / 'checkpoints', state) or state
    done = int(state.step)
    if done > config.steps:
      raise InputError(
        f'steps must be >= {done}, which the checkpoint in {folder} has done; '
        f'got {config.steps}'
      )
    workdir.write_run(folder, config, data, source.vocabulary)
    with (
      checkpoints.Checkpoints(folder / 'checkpoints', config.keep) as saved,
      workdir.MetricsLog(folder) as log,
      Notice() as notice,
    ):
      if begins:
        workdir.write_start(folder, start and str(start))
      if begins and start is not None:
        start.hand_over(folder)
        saved.save(done, state)  # what it began with is not needed any more
      log.forget_after(done)
      _introduce(config, state)
      progress = Progress(done, config.steps)
      for moment in learn(
        module,
        config,
        state,
        source,
        keys['train'],
        keys['valid'],
        notice.given,
      ):
        step, state = moment.step, moment.state
        if moment.train is None:
          progress.report_first(step)
          continue
        log.write(step, 'train', moment.train)
        progress.report(step, moment.train['bound'])
        if moment.valid is not None:
          log.write(step, 'valid', moment.valid)
          bound = moment.valid['bound']
          say(f'step {step}  validation bound {bound:.2f} nats/object')
          drawn = sampler(
            state.averaged, shown.objects, keys['sheet'], shown.mask
          )
          given, drawn = jax.device_get((shown, drawn))
          sheets.save(
            sheet_path(folder, step, data.kind),
            data.kind,
            given.objects,
            drawn,
            given.mask,
            source.vocabulary,
          )
          # Last: whoever goes on from here has all of the above.
          saved.save(step, state, bound)
        elif moment.stops:
          # Not ranked: what is best must not depend on when a run was stopped.
          saved.save(step, state)
        if moment.stops:
          raise PreemptedError(
            f'stopped by SIGTERM; step {step} is saved in {folder}, and the '
            'same command goes on from there'
          )
  say(f'sample sheet: {sheet_path(folder, config.steps, data.kind)}')
  return state


def sheet_path(folder: pathlib.Path, step: int, kind: str) -> pathlib.Path:
  """The sample sheet drawn at a step: rows of support | samples."""
  return folder / 'samples' / f'step_{step:06d}{sheets.SUFFIXES[kind]}'


def _shown(config: Config, dataset: Dataset, key: jax.Array) -> Episodes:
  """What the sheets of a run are conditioned on."""
  length = config.episode_length
  if dataset.kind != 'words':
    length = min(length, dataset.smallest_class)
  spec = EpisodeSpec(_SHEET_ROWS, length)
  draw = compilation.jit(lambda key, data: sample_episodes(key, data, spec))
  return draw(key, dataset)


def _introduce(config: Config, state: TrainState) -> None:
  count = sum(leaf.size for leaf in jax.tree.leaves(state.params))
  say(
    f'{config.model} ({config.preset}, {count:,} parameters) on '
    f'{config.dataset}, from step {int(state.step)} to {config.steps}, on '
    f'{device_name()}'
  )
