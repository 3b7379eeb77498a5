"""What tests share: the device, compiled programs on disk, fixtures."""

import itertools
import os

# Before JAX is imported; subprocesses inherit them. Compiling takes most of
# the time of the tests, and half as long without optimisations.
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
os.environ.setdefault('JAX_DISABLE_MOST_OPTIMIZATIONS', '1')
# Binaries would start a second time, to keep memory.
os.environ.setdefault('GLIBC_TUNABLES', '')

import binaries
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy_classes
import toy_sources
from PIL import Image

from gen1shot import compilation, parallel
from gen1shot.data import augment
from gen1shot.data.episodes import ImageClasses

compilation.enable_cache()
jax.config.update('jax_num_cpu_devices', 8)
_axis_name = parallel.axis_name


@pytest.fixture(scope='session', autouse=True)
def one_device():
  """Most tests are of what happens on one device."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(parallel, 'axis_name', lambda: None)
    yield


@pytest.fixture
def eight_devices(monkeypatch):
  """A few are of several."""
  monkeypatch.setattr(parallel, 'axis_name', _axis_name)


@pytest.fixture
def key():
  """The root of a test's randomness."""
  return jax.random.key(0)


# --- classes that tell what they are


@pytest.fixture(scope='session')
def classes():
  """Images [n_i, 3, 3, 1] that tell class, exemplar and view by themselves."""
  corner = np.arange(9, dtype=np.uint8).reshape(3, 3, 1) * 20
  images = []
  for class_id, size in enumerate(toy_classes.SIZES):
    stack = np.tile(corner, (size, 1, 1, 1))
    stack[:, 0, 0, 0] = 1 + class_id
    stack[:, 1, 1, 0] = 21 + np.arange(size)
    images.append(stack)
  return images


@pytest.fixture(scope='session')
def dataset(classes):
  """The same classes as a data set."""
  return ImageClasses.stack(classes)


@pytest.fixture(scope='session')
def whose(classes):
  """Bytes of an image in a view -> (label, exemplar)."""
  view = jax.jit(augment.dihedral_view)
  return {
    np.asarray(view(jnp.asarray(image, jnp.float32), v)).tobytes(): (
      augment.NUM_VIEWS * class_id + v,
      exemplar,
    )
    for class_id, images in enumerate(classes)
    for exemplar, image in enumerate(images)
    for v in range(augment.NUM_VIEWS)
  }


# --- files of data


@pytest.fixture(scope='session')
def drawings():
  """Archive -> (alphabet, character, drawer) -> bool [105, 105] of paper."""
  rng = np.random.default_rng(0)
  return {
    archive: {
      key: rng.random((105, 105)) < 0.9
      for key in itertools.product(
        alphabets, range(toy_sources.CHARACTERS), range(toy_sources.DRAWERS)
      )
    }
    for archive, alphabets in (
      ('images_background', toy_sources.BACKGROUND),
      ('images_evaluation', toy_sources.EVALUATION),
    )
  }


@pytest.fixture
def toy_npz(tmp_path, drawings):
  """A folder with toy train_small.npz and test_small.npz."""
  path = tmp_path / 'npz'
  path.mkdir()
  kept = [105 * r // 28 for r in range(28)]
  for name, archive in zip(
    ('train_small.npz', 'test_small.npz'), drawings, strict=True
  ):
    # The drawers come backwards: the published files have an order of their own
    arrays = {}
    for (alphabet, character, _), paper in reversed(drawings[archive].items()):
      arrays.setdefault(
        f'{archive}/{alphabet}/character{character:02}', []
      ).append(paper[kept][:, kept].reshape(784) * np.uint8(255))
    np.savez(
      path / name, **{key: np.stack(rows) for key, rows in arrays.items()}
    )
  return path


# --- a run of the binaries


@pytest.fixture(scope='session')
def data(tmp_path_factory):
  """200 classes of images, so that 20 are for testing."""
  root = tmp_path_factory.mktemp('data')
  rng = np.random.default_rng(0)
  for class_id in range(200):
    (root / f'{class_id:03}').mkdir()
    for exemplar in range(binaries.EXEMPLARS):
      ink = rng.random((binaries.SIZE, binaries.SIZE)) < 0.2
      image = Image.fromarray(np.where(ink, 0, 255).astype(np.uint8))
      image.save(root / f'{class_id:03}' / f'{exemplar}.png')
  return root


@pytest.fixture(scope='session')
def training(data):
  """The flags of a short training."""
  return [
    '--dataset=folder',
    f'--data_dir={data}',
    '--steps=4',
    *binaries.FIELDS,
  ]


@pytest.fixture(scope='session')
def trained(training, tmp_path_factory):
  """(workdir, what the training printed)."""
  workdir = tmp_path_factory.mktemp('trained') / 'run'
  return workdir, binaries.run('train', f'--workdir={workdir}', *training)
