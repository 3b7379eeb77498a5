"""Sheets of `support | samples`, for objects of any kind."""

import pathlib

import numpy as np

from gen1shot import files, plotting
from gen1shot.data.vocabulary import Vocabulary

SUFFIXES = {'images': '.png', 'vectors': '.png', 'words': '.txt'}
# The question to a model that is answered by what a sheet shows.
METHODS = {'images': 'predict', 'vectors': 'predict', 'words': 'compose'}


def save(
  path: pathlib.Path,
  kind: str,
  support: np.ndarray,
  samples: np.ndarray,
  mask: np.ndarray | None = None,
  vocabulary: Vocabulary | None = None,
) -> None:
  """Writes a sheet; sets of vectors are drawn as one picture each.

  Args:
    path: of the file.
    kind: of the objects.
    support: [rows, N, *shape]; of words int32 [rows, N].
    samples: [rows, S, *shape]; of words, which are whole texts, [rows, S, T].
    mask: boolean [rows, N], words of the support that count; None for all.
    vocabulary: of the words.
  """
  if vocabulary is not None:
    counts = np.ones(support.shape, bool) if mask is None else mask
    rows = zip(support, counts, samples, strict=True)
    text = '\n\n'.join(
      '\n  '.join(map(vocabulary.decode, [words[seen], *texts]))
      for words, seen, texts in rows
    )
    files.write_text(path, text + '\n')
    return
  draw = plotting.clouds if kind == 'vectors' else np.asarray
  plotting.save(plotting.sheet(draw(support), draw(samples)), path)
