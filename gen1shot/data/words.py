"""A data set of the user's own words: a folder of texts."""

import os
import pathlib
from collections.abc import Iterator

from gen1shot.data import corpus, inside
from gen1shot.errors import InputError

SUFFIXES = ('.txt', '.md', '.rst')
_LAYOUT = 'data_dir must hold texts, .txt, .md or .rst, also in subfolders'


def load(data_dir: str | None, seed: int) -> corpus.Corpus:
  """Reads all texts below `data_dir`; a document is a paragraph.

  How they become documents in three parts: `corpus.make`. Names that begin
  with a dot are skipped, and links to folders are not followed.

  Raises:
    InputError: no `data_dir`, no texts below it, a text that cannot be read
      or is not UTF-8, texts that are too short, a link that leads out.
  """
  if data_dir is None:
    raise InputError(f'--dataset=words needs --data_dir ({_LAYOUT}); got none')
  texts = [_read(path) for path in _find(data_dir)]
  if not texts:
    raise InputError(f'{_LAYOUT}; {data_dir} has none')
  return corpus.make(texts, seed, data_dir)


def _find(data_dir: str) -> Iterator[pathlib.Path]:
  def refuse(error: OSError) -> None:
    raise InputError(
      f'{_LAYOUT}; {error.filename} cannot be read: {error}'
    ) from error

  root = pathlib.Path(data_dir)
  for folder, subfolders, names in os.walk(data_dir, onerror=refuse):
    # os.walk goes on to what is left in the list.
    subfolders[:] = sorted(name for name in subfolders if name[0] != '.')
    for name in subfolders:
      inside.check(pathlib.Path(folder, name), root)
    for name in sorted(names):
      path = pathlib.Path(folder, name)
      if name[0] != '.' and path.suffix.lower() in SUFFIXES:
        inside.check(path, root)
        yield path


def _read(path: pathlib.Path) -> str:
  try:
    return path.read_text('utf-8-sig')  # a byte order mark is no text
  except UnicodeDecodeError as error:
    raise InputError(
      f'texts must be in UTF-8; {path} is not, at byte {error.start}'
    ) from error
  except OSError as error:
    raise InputError(f'{_LAYOUT}; {path} cannot be read: {error}') from error
