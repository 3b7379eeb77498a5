"""README says what is so: its code runs, its commands and files exist."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
TEXT = (ROOT / 'README.md').read_text()


@pytest.mark.parametrize(
  ('code', 'expected'),
  list(
    zip(
      re.findall(r'```python\n(.*?)```', TEXT, re.DOTALL),
      ('(8, 28, 28, 1) (128,)', '(128,)'),
      strict=True,
    )
  ),
  ids=('quickstart', 'a set on several devices'),
)
def test_examples_run(capsys, code, expected):
  exec(compile(code, 'README.md', 'exec'), {})
  printed = capsys.readouterr().out
  assert expected in printed
  assert 'nan' not in printed


@pytest.mark.parametrize('link', re.findall(r'!?\[.*?\]\(([^)#:]+)\)', TEXT))
def test_links_lead_somewhere(link):
  assert (ROOT / link).exists()


@pytest.mark.parametrize(
  'script', sorted(set(re.findall(r'python (\S+\.py)', TEXT)))
)
def test_scripts_exist(script):
  assert (ROOT / script).exists()


def test_readme_has_no_gaps():
  assert '@@' not in TEXT
