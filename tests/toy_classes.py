"""Classes of images that tell what they are by themselves."""

import numpy as np

SIZES = (5, 9, 6, 5, 12, 7)  # exemplars of each class


def identify(images, whose):
  """(label, exemplar) of every image [..., H, W, C]."""
  lead = images.shape[:-3]
  found = [whose[image.tobytes()] for image in images.reshape(-1, 3, 3, 1)]
  return np.array(found).reshape(*lead, 2)
