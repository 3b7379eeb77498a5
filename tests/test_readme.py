"""The documents say what is so: code runs, commands and files exist."""

import pathlib
import re

import pytest
from PIL import Image, ImageDraw

ROOT = pathlib.Path(__file__).parents[1]
TEXT = (ROOT / 'README.md').read_text()
DOCUMENTS = [
  ROOT / 'README.md',
  ROOT / 'experiments' / 'README.md',
  ROOT / 'benchmarks' / 'README.md',
]


def found(pattern):
  """(document, match) of every match in a document."""
  return [
    pytest.param(path, match, id=f'{path.parent.name}-{match}')
    for path in DOCUMENTS
    for match in sorted(set(re.findall(pattern, path.read_text())))
  ]


@pytest.fixture
def drawings_of_two(tmp_path, monkeypatch):
  """The files that the quickstart reads: strokes, rings, and another ring."""

  def save(name, shift, ring):
    image = Image.new('L', (28, 28), 255)
    box = (4 + shift, 5, 20 + shift, 22)
    if ring:
      ImageDraw.Draw(image).ellipse(box, outline=0, width=2)
    else:
      ImageDraw.Draw(image).line(box, fill=0, width=2)
    image.save(tmp_path / f'{name}.png')

  for shift in (1, 2):
    save(f'a{shift}', shift, ring=False)
    save(f'b{shift}', shift, ring=True)
  save('new', 3, ring=True)
  monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
  ('code', 'expected'),
  list(
    zip(
      re.findall(r'```python\n(.*?)```', TEXT, re.DOTALL),
      (
        'The generative matching network (Bartunov & Vetrov 2016) '
        '(20, 28, 28, 1) [-',
        '(8, 28, 28, 1) (128,)',
        '(128,)',
      ),
      strict=True,
    )
  ),
  ids=('quickstart', 'the functional API', 'a set on several devices'),
)
def test_examples_run(drawings_of_two, capsys, code, expected):
  exec(compile(code, 'README.md', 'exec'), {})
  printed = capsys.readouterr().out
  assert expected in printed
  assert 'nan' not in printed
  # new.png is of the second concept
  assert 'which' not in code or printed.endswith('] [1]\n')


@pytest.mark.parametrize(('document', 'link'), found(r'!?\[.*?\]\(([^):]+)\)'))
def test_links_lead_somewhere(document, link):
  path, _, heading = link.partition('#')
  target = (document.parent / path).resolve()
  assert target.exists()
  if heading:
    headings = re.findall(r'^#+ (.*)', target.read_text(), re.MULTILINE)
    assert heading in [title.lower().replace(' ', '-') for title in headings]


@pytest.mark.parametrize(
  ('document', 'script'), found(r'python (\S+\.py|-m benchmarks\.\w+)')
)
def test_scripts_exist(document, script):
  module = script.removeprefix('-m ')
  path = module if module == script else module.replace('.', '/') + '.py'
  assert (ROOT / path).exists()


@pytest.mark.parametrize(
  'document', DOCUMENTS, ids=lambda path: path.parent.name
)
def test_documents_have_no_gaps(document):
  assert '@@' not in document.read_text()
