"""Writes a corpus of English that every Python brings along.

  python -m benchmarks.corpus --out=corpus

The docstrings of the standard library and the topics of its interactive help,
as text files with a blank line between two paragraphs, for --dataset=words.
"""

import ast
import pathlib
import sysconfig
import textwrap
from collections.abc import Iterator
from pydoc_data.topics import topics

from absl import flags

from gen1shot import commandline
from gen1shot.errors import InputError
from gen1shot.files import write_text

FLAGS = flags.FLAGS
flags.DEFINE_string('out', None, 'folder, which must not exist yet')
flags.mark_flag_as_required('out')

_DOCUMENTED = (
  ast.Module,
  ast.ClassDef,
  ast.FunctionDef,
  ast.AsyncFunctionDef,
)
_OTHERS = ('site-packages', 'test', 'tests', 'idlelib')  # folders left out


def docstrings(source: str) -> Iterator[str]:
  """The docstrings of a module, in order."""
  for node in ast.walk(ast.parse(source)):
    if isinstance(node, _DOCUMENTED):
      text = ast.get_docstring(node)
      if text:
        yield textwrap.dedent(text)


def modules() -> Iterator[tuple[str, str]]:
  """Names and sources of the modules of the standard library."""
  root = pathlib.Path(sysconfig.get_paths()['stdlib'])
  for path in sorted(root.rglob('*.py')):
    parts = path.relative_to(root).with_suffix('').parts
    if not set(parts) & set(_OTHERS):
      # lib2to3 holds a few files that are no Python 3 on purpose.
      try:
        yield '.'.join(parts), path.read_text('utf-8')
      except UnicodeDecodeError:
        continue


def main() -> None:
  out = pathlib.Path(FLAGS.out).expanduser()
  if out.exists():
    raise InputError(f'out must not exist yet; got {out}')
  words = 0
  texts = {f'topic.{name}': text for name, text in topics.items()}
  for name, source in modules():
    try:
      texts[name] = '\n\n'.join(docstrings(source))
    except SyntaxError:
      continue
  for name, text in texts.items():
    if text:
      write_text(out / f'{name}.txt', text + '\n')
      words += len(text.split())
  print(f'{words:,} words in {out}')


if __name__ == '__main__':
  commandline.run(main)
