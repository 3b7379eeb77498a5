"""Data sets that TensorFlow Datasets downloads, verifies and keeps on disk.

TensorFlow itself is never needed: what TFDS asks of it (its own file format,
extracting archives, decoding images) is replaced by array_record files, whole
archives and uint8 tensors. Import this module lazily: TFDS takes a while.
"""

import abc
import pathlib
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import requests
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import DownloadError, download_manager

from gen1shot.errors import InputError

PATIENCE = 5  # seconds, for a server to answer at all


class ClassesBuilder(tfds.core.GeneratorBasedBuilder):
  """A data set in parts; an example is a whole class, by default of images.

  A class a record, because a class is what an episode draws from, and because
  reading 1,623 records takes a fraction of the time of 32,460.
  """

  VERSION = tfds.core.Version('1.0.0')
  ARCHIVES: ClassVar[Mapping[str, tuple[str, ...]]]  # part -> addresses
  # What a class is, under the name that it has on disk.
  FIELD: ClassVar[str] = 'images'
  FEATURE: ClassVar[tfds.features.FeatureConnector] = tfds.features.Tensor(
    shape=(None, 28, 28, 1), dtype=np.uint8
  )

  @staticmethod
  @abc.abstractmethod
  def read(*archives: pathlib.Path) -> Iterator[tuple[str, Any]]:
    """Yields a part's class names and classes; images are of 0 and 1."""

  def _info(self) -> tfds.core.DatasetInfo:
    features = {'name': tfds.features.Text(), self.FIELD: self.FEATURE}
    return tfds.core.DatasetInfo(
      builder=self, features=tfds.features.FeaturesDict(features)
    )

  def _split_generators(self, dl_manager: Any):
    paths = dl_manager.download(
      {part: list(addresses) for part, addresses in self.ARCHIVES.items()}
    )
    return {
      part: self._generate_examples(*archives)
      for part, archives in paths.items()
    }

  def _generate_examples(self, *archives):
    for name, content in self.read(*archives):
      yield name, {'name': name, self.FIELD: content}


def fetch(
  builder_class: type[ClassesBuilder], data_dir: str | None, instead: str
) -> dict[str, dict[str, Any]]:
  """Reads a data set, downloading and preparing it the first time.

  Args:
    builder_class: What to read.
    data_dir: Where data sets are kept; None is the default place of TFDS.
    instead: For the message of the error, what else the user may do.

  Returns:
    Part -> class name -> uint8 [n, 28, 28, 1] of 0 and 1, or bytes of a text.

  Raises:
    InputError: it is not prepared yet, and cannot be: no network, a damaged
      archive, a folder that cannot be written.
  """
  builder = builder_class(data_dir=data_dir, file_format='array_record')
  if not builder.data_path.exists():
    _prepare(builder, instead)
  return {
    part: {
      record['name'].decode(): record[builder.FIELD]
      # TFDS decorates the method so that its parameters cannot be seen.
      for record in builder.as_data_source(part)  # pyright: ignore[reportCallIssue]
    }
    for part in builder.ARCHIVES
  }


def _prepare(builder: ClassesBuilder, instead: str) -> None:
  manual = pathlib.Path(builder.data_dir_root, 'downloads', 'manual')
  missing = [
    address
    for addresses in builder.ARCHIVES.values()
    for address in addresses
    if not (manual / address.rpartition('/')[2]).is_file()
  ]
  try:
    if missing:
      _check_reachable(missing[0])
    builder.download_and_prepare(
      download_config=download_manager.DownloadConfig(
        manual_dir=manual,
        try_download_gcs=False,
        force_checksums_validation=True,
      )
    )
  except (
    OSError,  # the disk, and every failure of the network
    DownloadError,
    download_manager.NonMatchingChecksumError,
  ) as error:
    reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(':')
    remedy = (
      f'download {" and ".join(missing)} elsewhere and put them in {manual}'
      if missing
      else f'replace the files in {manual}'
    )
    raise InputError(
      f'{builder.name} must be prepared in {builder.data_dir_root}, which '
      f'failed ({reason}); {remedy}, or {instead}, which needs no files'
    ) from error


def _check_reachable(address: str) -> None:
  """Fails at once without a network, where TFDS would retry for minutes."""
  try:
    # As TFDS downloads: with the same proxies and the same certificates.
    requests.head(address, timeout=PATIENCE)
  except requests.RequestException as error:
    host = urllib.parse.urlsplit(address).hostname
    raise ConnectionError(f'{host} cannot be reached') from error
