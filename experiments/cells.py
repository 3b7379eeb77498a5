"""The tables of the README: which figure of which model, and who published it.

One row a cell. Those of one model, table and protocol are measured together.
Nats for likelihoods and KL, % for accuracies.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

GMN = 'Bartunov & Vetrov 2016'
SLIDES = 'slides of Bartunov & Vetrov'
STATISTICIAN = 'Edwards & Storkey 2016'
DRAW = 'Gregor et al. 2015, 64 steps with attention'


@dataclasses.dataclass(frozen=True)
class Cell:
  """One figure."""

  model: str  # name of the weights
  table: str
  task: str  # one of measures.TASKS
  protocol: Mapping[str, Any]  # arguments of the task
  metric: str  # one that the task gives
  published: float | None = None
  source: str | None = None  # of what was published

  @property
  def name(self) -> str:
    """What the cell is called in its model's card."""
    return f'{self.table}/{self.metric}'


def _cells(
  model: str,
  table: str,
  task: str,
  protocol: Mapping[str, Any],
  metrics: str,
  source: str | None = None,
  **published: float,
) -> Iterator[Cell]:
  """The cells of a table: metrics, and what was published of some of them."""
  for metric in metrics.split():
    figure = published.pop(metric.replace('-', '_'), None)
    yield Cell(
      model,
      table,
      task,
      protocol,
      metric,
      figure,
      None if figure is None else source,
    )
  assert not published, published


# As evaluate.py has it: every episode in all five cyclic orders.
_FIVE = {
  'episodes': 60,
  'length': 5,
  'max_classes': 1,
  'replacement': False,
  'num_samples': 1000,
}
_WITH = _FIVE | {'replacement': True}
_TEN = _WITH | {'length': 10}
_IMAGES = _FIVE | {'episodes': 500, 'length': 1}
_SINGLE = _FIVE | {'episodes': 1000, 'length': 1}
_IMAGE = _FIVE, 'predictive-0 bound-0'
_CLOUDS = {'episodes': 200, 'length': 50, 'num_samples': 100}

_PREDICTIVE = 'predictive-0 predictive-1 predictive-2 predictive-3 predictive-4'
_OF_FIVE = f'{_PREDICTIVE} bound-0 bound-1 bound-2 bound-3 bound-4 gain-4'
_AND_JOINT = f'{_OF_FIVE} joint joint-bound'
# Edwards & Storkey 2016, (ways, shots) -> accuracy.
_ACCURACY = {(5, 1): 98.1, (5, 5): 99.5, (20, 1): 93.2, (20, 5): 98.1}


def _classification(
  model: str, rule: str, tasks: int, num_samples: int = 1, published=None
) -> Iterator[Cell]:
  for (ways, shots), figure in _ACCURACY.items():
    protocol = {
      'rule': rule,
      'ways': ways,
      'shots': shots,
      'tasks': tasks if rule != 'likelihood' or ways == 5 else tasks // 3,
      'num_samples': num_samples,
    }
    known = {} if published is None else {'accuracy': figure}
    yield from _cells(
      model,
      f'{ways}-way-{shots}-shot-{rule}',
      'classification',
      protocol,
      'accuracy',
      published,
      **known,
    )


# Bartunov & Vetrov 2016, with replacement: (C_train, C_test) -> given 0 to 4.
_PUBLISHED = {
  (1, 1): (-90.9, -82.8, -78.8, -76.4, -74.2),
  (2, 1): (-89.3, -83.4, -79.6, -77.2, -75.3),
  (2, 2): (-89.2, -86.6, -85.0, -83.5, -81.6),
  (2, 4): (-88.8, -88.0, -87.9, -86.6, -85.6),
}
_FULLY_CONNECTED = (-101.0, -99.67, -98.06, -97.48, -95.89)


def _with_replacement(
  model: str,
  published: Sequence[float],
  classes: int = 1,
  source: str = GMN,
) -> Iterator[Cell]:
  """Given ever more images of so many classes."""
  of = '' if classes == 1 else f'-{classes}-classes'
  yield from _cells(
    model,
    f'with-replacement{of}',
    'likelihood',
    _WITH | {'max_classes': classes},
    _PREDICTIVE,
    source,
    **{f'predictive_{t}': figure for t, figure in enumerate(published)},
  )


def _matching(model: str) -> Iterator[Cell]:
  """What Bartunov & Vetrov publish of one class, and without replacement."""
  yield from _cells(
    model, 'without-replacement', 'likelihood', _FIVE, _AND_JOINT
  )
  yield from _with_replacement(model, _PUBLISHED[1, 1])
  yield from _cells(
    model,
    'ten-with-replacement',
    'likelihood',
    _TEN,
    'predictive-9 gain-9',
    GMN,
    predictive_9=-64.6,
  )


CELLS = (
  *_matching('gmn-omniglot'),
  *_classification('gmn-omniglot', 'likelihood', 60, 50),
  *_classification('gmn-omniglot', 'kl', 2000),
  *_classification('gmn-omniglot', 'cosine', 2000),
  *_matching('gmn-conv-omniglot'),
  # Without an example, of more images than the tables have.
  *_cells(
    'gmn-conv-omniglot',
    'single-images',
    'likelihood',
    _SINGLE,
    'predictive-0 bound-0',
    GMN,
    predictive_0=_PUBLISHED[1, 1][0],
  ),
  *_with_replacement('gmn-two-omniglot', _PUBLISHED[2, 1]),
  *_with_replacement('gmn-two-omniglot', _PUBLISHED[2, 2], 2),
  *_with_replacement('gmn-two-omniglot', _PUBLISHED[2, 4], 4),
  *_with_replacement('gmn-curriculum-omniglot', _PUBLISHED[2, 1]),
  *_with_replacement('gmn-curriculum-omniglot', _PUBLISHED[2, 2], 2),
  *_with_replacement('gmn-curriculum-omniglot', _PUBLISHED[2, 4], 4),
  *_with_replacement('gmn-dynamic-omniglot', ()),
  *_with_replacement('gmn-fc-omniglot', _FULLY_CONNECTED, source=SLIDES),
  *_cells(
    'statistician-omniglot',
    'without-replacement',
    'likelihood',
    _FIVE,
    _AND_JOINT,
  ),
  *_classification('statistician-omniglot', 'kl', 2000, published=STATISTICIAN),
  *_classification('statistician-omniglot', 'kl-views', 2000),
  *_cells(
    'vae-omniglot',
    'without-replacement',
    'likelihood',
    *_IMAGE,
    GMN,
    predictive_0=-89.2,
  ),
  *_cells('iwae-omniglot', 'without-replacement', 'likelihood', *_IMAGE),
  *_cells('iwae-50-omniglot', 'without-replacement', 'likelihood', *_IMAGE),
  *_cells(
    'sequential-omniglot',
    'without-replacement',
    'likelihood',
    _FIVE,
    f'{_OF_FIVE} gain-1',
    SLIDES,
    predictive_0=-95.5,
  ),
  *_cells(
    'draw-mnist',
    'digits',
    'likelihood',
    _IMAGES,
    'predictive-0 bound-0',
  ),
  *_cells(
    'draw-mnist',
    'ten-thousand-digits',
    'likelihood',
    _IMAGES | {'episodes': 10_000, 'num_samples': 1},
    'bound-0',
    DRAW,
    bound_0=-80.97,
  ),
  *_cells(
    'statistician-distributions',
    'probes',
    'probe',
    {'sets': 10_000, 'length': 200},
    'linear-family linear-mean linear-variance '
    'posterior-family posterior-mean posterior-variance '
    'nearest-family nearest-mean nearest-variance',
  ),
  *_cells(
    'statistician-points', 'clouds', 'joint', _CLOUDS, 'joint joint-bound'
  ),
  *_cells(
    'lda-bars',
    'documents',
    'perplexity',
    {'length': 100, 'num_samples': 100},
    'perplexity perplexity-of-the-bound kl',
  ),
)

# What --fast, which is a test, replaces of a protocol.
FAST = {
  'episodes': 2,
  'num_samples': 2,
  'tasks': 2,
  'ways': 3,
  'shots': 1,
  'sets': 40,
}
