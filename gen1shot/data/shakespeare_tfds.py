"""Tiny Shakespeare (Karpathy 2015): 1.1 MB of plays; a document is a speech."""

import pathlib
from collections.abc import Iterator
from typing import ClassVar

import tensorflow_datasets as tfds

from gen1shot.data import corpus, tfds_builder

_HOME = 'https://raw.githubusercontent.com/karpathy/char-rnn/master/data/'
_ARCHIVE = f'{_HOME}tinyshakespeare/input.txt'


class Shakespeare(tfds_builder.ClassesBuilder):
  """The whole text as one class."""

  ARCHIVES: ClassVar = {'train': (_ARCHIVE,)}
  FIELD: ClassVar = 'text'
  FEATURE: ClassVar = tfds.features.Text()
  # TFDS knows the checksum, but only for its own builder, of this address.
  url_infos = tfds.builder_cls('tiny_shakespeare').url_infos

  @staticmethod
  def read(*archives: pathlib.Path) -> Iterator[tuple[str, str]]:
    (archive,) = archives
    yield 'plays', archive.read_text('utf-8')


def load(data_dir: str | None, seed: int) -> corpus.Corpus:
  """Reads the plays; a document is a speech, with the name of its speaker.

  How they become documents in three parts: `corpus.make`.

  Args:
    data_dir: The folder in which TFDS keeps its data sets; None is TFDS's
      default place.
    seed: Draws the split.

  Raises:
    InputError: no text that can be read.
  """
  (text,) = tfds_builder.fetch(
    Shakespeare,
    data_dir,
    'use --dataset=words with texts of your own, or --dataset=bars',
  )['train'].values()
  return corpus.make([text.decode()], seed, _ARCHIVE)
