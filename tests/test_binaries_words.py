"""The binaries on a folder of texts, and on models of words."""

import json

import pytest
from binaries import refused, run
from PIL import Image

TEXTS = {
  'sea.txt': [
    f'the {big} whale swims in the {cold} sea.'
    for big in ('big', 'old', 'white', 'blue', 'grey')
    for cold in ('cold', 'deep', 'wide')
  ],
  'land.txt': [
    f'a {small} dog runs over the {green} hill, and barks!'
    for small in ('small', 'old', 'brown', 'grey')
    for green in ('green', 'wide', 'steep')
  ],
}
SMALL = [
  '--config.batch_size=2',
  '--config.episode_length=8',
  '--config.eval_every=2',
  '--config.log_every=1',
  '--config.eval_episodes=2',
  '--steps=2',
]
FIELDS = {
  'unigram': [],
  'lda': ['--config.topics=3', '--config.hidden=8', '--config.num_samples=2'],
  'neural_lm': [
    '--config.hidden=8',
    '--config.encoder_hidden=8',
    '--config.embedding=8',
    '--config.z_dim=2',
  ],
}


@pytest.fixture(scope='module')
def texts(tmp_path_factory):
  folder = tmp_path_factory.mktemp('texts')
  for name, paragraphs in TEXTS.items():
    (folder / name).write_text('\n\n'.join(paragraphs))
  return folder


@pytest.fixture(scope='module', params=FIELDS)
def trained(request, texts, tmp_path_factory):
  """(model, workdir, what the training printed)."""
  workdir = tmp_path_factory.mktemp('runs') / request.param
  output = run(
    'train',
    f'--model={request.param}',
    '--dataset=words',
    f'--data_dir={texts}',
    f'--workdir={workdir}',
    *SMALL,
    *FIELDS[request.param],
  )
  return request.param, workdir, output


def test_training_saves_the_vocabulary_and_a_sheet(trained):
  _, workdir, output = trained
  vocabulary = json.loads((workdir / 'vocabulary.json').read_text())
  counts = dict(zip(vocabulary['words'], vocabulary['counts'], strict=True))
  assert counts['the'] > 10
  assert counts['whale'] > 5
  assert '<unk>' in counts
  sheet = workdir / 'samples' / 'step_000002.txt'
  assert f'sample sheet: {sheet}' in output
  rows = sheet.read_text().strip().split('\n\n')
  assert len(rows) == 8
  for row in rows:
    given, *samples = row.split('\n')
    assert 'sea' in given or 'hill' in given or len(given.split()) < 11
    assert len(samples) == 10
    assert all(sample.startswith('  ') for sample in samples)


def test_perplexity_of_all_held_out_words(trained):
  model, workdir, _ = trained
  run('evaluate', f'--workdir={workdir}', '--num_samples=4')
  assert [path.name for path in (workdir / 'results').iterdir()] == [
    'perplexity.json'
  ]
  content = json.loads((workdir / 'results' / 'perplexity.json').read_text())
  (row,) = content['rows']
  assert content['protocol']['K'] == 4
  # Some 30 words; nothing was learned that could make it worse than chance.
  perplexity = row['perplexity']['mean']
  assert 1 < perplexity <= row['of the bound']['mean'] + 1e-3
  assert perplexity < 60
  if model == 'unigram':
    assert row['KL of a passage']['mean'] == 0


def test_samples_are_written_as_text(trained, tmp_path):
  _, workdir, _ = trained
  out = tmp_path / 'sheet.txt'
  run(
    'sample',
    f'--workdir={workdir}',
    '--rows=3',
    '--shots=4',
    '--num_samples=2',
    f'--out={out}',
  )
  rows = out.read_text().strip().split('\n\n')
  assert [len(row.split('\n')) for row in rows] == [3, 3, 3]


def test_texts_without_a_support_are_drawn_too(trained, tmp_path):
  _, workdir, _ = trained
  out = tmp_path / 'sheet.txt'
  run(
    'sample',
    f'--workdir={workdir}',
    '--rows=2',
    '--shots=0',
    '--num_samples=3',
    f'--out={out}',
  )
  rows = [row.split('\n  ') for row in out.read_text().rstrip().split('\n\n')]
  assert [row[0].strip() for row in rows] == ['', '']
  for row in rows:
    assert all(len(text.split()) > 10 for text in row[1:])


def test_mistakes_are_one_line(trained, tmp_path):
  model, workdir, _ = trained
  if model != 'unigram':
    return
  run_of = f'--workdir={workdir}'
  refused('evaluate', run_of, '--tasks=table', expected='got words, of words')
  refused('evaluate', '--workdir=', expected='got neither')
  (tmp_path / 'file').write_text('')
  for out in (tmp_path / 'file' / 'sheet.txt', tmp_path):
    refused(
      'sample', run_of, '--rows=1', f'--out={out}', expected='can be written'
    )


def test_topics_and_interpolations_are_of_their_models(trained, tmp_path):
  model, workdir, _ = trained
  topics = tmp_path / 'topics.png'
  at_topics = f'--workdir={workdir}', '--words=4', f'--out={topics}'
  if model == 'lda':
    pytest.importorskip('matplotlib')
    lines = run('topics', *at_topics).splitlines()
    assert [len(line.split()) for line in lines[:3]] == [5, 5, 5]
    with Image.open(topics) as image:
      assert image.format == 'PNG'
  else:
    refused('topics', *at_topics, expected=f'model lda; got {model}')
  between = f'--workdir={workdir}', '--pairs=2', '--points=3', '--length=6'
  if model == 'neural_lm':
    pairs = run('interpolate', *between).strip().split('\n\n')
    assert [len(pair.split('\n')) for pair in pairs] == [5, 5]
  else:
    refused('interpolate', *between, expected=f'neural_lm; got {model}')


def test_models_are_told_from_data_they_are_not_of(texts, tmp_path):
  workdir = f'--workdir={tmp_path / "run"}'
  refused(
    'train',
    '--model=lda',
    '--dataset=glyphs',
    workdir,
    expected='lda models words; got dataset glyphs, of images',
  )
  refused(
    'train',
    '--model=gmn',
    '--dataset=words',
    f'--data_dir={texts}',
    workdir,
    expected='gmn models images and vectors; got dataset words, of words',
  )
  assert not (tmp_path / 'run').exists()
