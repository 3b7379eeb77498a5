"""Splits of a data set: what they hold out, what they depend on."""

from collections import Counter

import numpy as np
import pytest
from toy_sources import BACKGROUND, CHARACTERS, DRAWERS, EVALUATION, PARTS

from gen1shot.data import omniglot, sources, splits


def test_shuffled_depends_on_names_and_seed_only():
  names = [f'n{i}' for i in range(20)]
  order = splits.shuffled(names, 0)
  assert sorted(order) == sorted(names)
  assert order == splits.shuffled(reversed(names), 0)
  assert order != splits.shuffled(names, 1)
  # Published: it may not change with a version of anything.
  assert order[:4] == ['n14', 'n13', 'n1', 'n0']


def alphabets(names):
  return {name.partition('/')[0] for name in names}


@pytest.mark.parametrize(
  ('split', 'train', 'valid', 'test'),
  [('30-20', 27, 3, 20), ('45-5', 41, 4, 5), ('40-10', 36, 4, 10)],
)
def test_alphabet_splits_share_no_alphabet(toy_npz, split, train, valid, test):
  source = sources.load('omniglot', data_dir=str(toy_npz), split=split)
  parts = {part: alphabets(source.class_names[part]) for part in PARTS}
  assert {part: len(parts[part]) for part in PARTS} == {
    'train': train,
    'valid': valid,
    'test': test,
  }
  assert len(set.union(*parts.values())) == 50
  assert (parts['test'] == set(EVALUATION)) == (split == '30-20')
  for part in PARTS:
    dataset = getattr(source, part)
    assert dataset.num_classes == len(source.class_names[part])
    assert dataset.num_classes == len(parts[part]) * CHARACTERS
    assert dataset.object_shape == (28, 28, 1)
    assert dataset.smallest_class == DRAWERS


def test_weak_split_holds_out_characters_of_each_alphabet(toy_npz):
  names = sources.load(
    'omniglot', data_dir=str(toy_npz), split='weak'
  ).class_names
  for part, count in (('train', CHARACTERS - 4), ('valid', 1), ('test', 3)):
    own = [name.partition('/')[0] for name in names[part]]
    assert sorted(own) == sorted((BACKGROUND + EVALUATION) * count)
  assert len(set().union(*names.values())) == 50 * CHARACTERS


@pytest.mark.parametrize('split', ['30-20', 'weak'])
def test_alphabets_hold_the_characters_of_their_part(toy_npz, split):
  characters, families = (
    sources.load(name, data_dir=str(toy_npz), split=split)
    for name in ('omniglot', 'alphabets')
  )
  assert families.fingerprint != characters.fingerprint
  for part in PARTS:
    own, whole = getattr(characters, part), getattr(families, part)
    names = [name.partition('/')[0] for name in characters.class_names[part]]
    assert whole.num_classes == len(set(names))
    assert whole.smallest_class == min(Counter(names).values()) * DRAWERS
    # The last exemplar of the last character of the first alphabet.
    last = names.count(names[0])
    np.testing.assert_array_equal(
      whole.exemplar(0, last * DRAWERS - 1), own.exemplar(last - 1, DRAWERS - 1)
    )


@pytest.mark.parametrize('split', omniglot.SPLITS)
def test_split_and_fingerprint_follow_the_seed(toy_npz, split):
  def load(seed):
    return sources.load(
      'omniglot', data_dir=str(toy_npz), split=split, seed=seed
    )

  first, again, other = load(0), load(0), load(1)
  assert first.class_names == again.class_names
  assert first.fingerprint == again.fingerprint
  assert first.class_names != other.class_names
  assert first.fingerprint != other.fingerprint


def test_fingerprints_differ_between_splits(toy_npz):
  prints = {
    sources.load('omniglot', data_dir=str(toy_npz), split=split).fingerprint
    for split in omniglot.SPLITS
  }
  assert len(prints) == len(omniglot.SPLITS)
