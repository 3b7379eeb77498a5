"""Parameters of every preset, counted on paper."""

import jax
import pytest
from presets import PRESETS, WORD_PRESETS, V, init, shape

from gen1shot import zoo


def dense(inputs, outputs):
  return (inputs + 1) * outputs


def conv(inputs, channels):
  """3x3 without bias, then a scale and an offset for each channel."""
  return 9 * inputs * channels + 2 * channels


def mlp(inputs, outputs):
  """Two hidden layers of 256, the second a residual block of two maps."""
  return dense(inputs, 256) + 2 * dense(256, 256) + dense(256, outputs)


def mixer(inputs, width, depth, outputs):
  """On 16 patches; the hidden layers of a block are twice as wide."""
  tokens = dense(16, 32) + dense(32, 16)
  channels = dense(width, 2 * width) + dense(2 * width, width)
  return (
    dense(inputs, width) + depth * (tokens + channels) + dense(width, outputs)
  )


def statistician_small():
  # Sizes of vectors are those of one token of 16, a patch of 7x7 pixels.
  width, hidden = 192, 64
  features, c, z = 512 // 16, 128 // 16, 32 // 16
  encoder = mixer(49, width, 2, features)
  decoder = mixer(2 * z + c, width, 3, 49)
  # and the size of the set
  statistic = mixer(features + 1, hidden, 2, 2 * c)
  priors = sum(mixer(c + above, hidden, 2, 2 * z) for above in (0, z))
  posteriors = sum(
    mixer(features + c + above, hidden, 2, 2 * z) for above in (0, z)
  )
  return encoder + decoder + statistic + priors + posteriors


def statistician_paper():
  features, c, z = 256, 512, 16
  # 28 -> 14 -> 7 -> 4 pixels
  encoder = dense(4 * 4 * 256, features) + sum(
    conv(inputs, channels) + 2 * conv(channels, channels)
    for inputs, channels in ((1, 64), (64, 128), (128, 256))
  )
  doubling = sum(4 * c * c + 2 * c for c in (256, 128, 64))
  decoder = (
    dense(z + c, 4 * 4 * 256)
    + sum(
      conv(inputs, channels) + conv(channels, channels)
      for inputs, channels in ((256, 256), (256, 128), (128, 64))
    )
    + doubling
    + dense(64, 1)
  )
  statistic = mlp(features + 1, 2 * c)
  return (
    encoder + decoder + statistic + mlp(c, 2 * z) + mlp(features + c, 2 * z)
  )


def three_layers(inputs, width, outputs):
  """Three hidden layers, the last two a residual block, and a linear map."""
  return dense(inputs, width) + 2 * dense(width, width) + dense(width, outputs)


def statistician_reals():
  F, c, z = 128, 3, 32
  sizes = (
    (1, F),  # encoder
    (F + 1, 2 * c),  # statistic, of the features and the size of the set
    (c, 2 * z),  # prior
    (F + c, 2 * z),  # posterior
    (z + c, 2),  # decoder: a mean and a log variance
  )
  return sum(three_layers(inputs, 128, outputs) for inputs, outputs in sizes)


def statistician_points():
  F, c, z = 256, 64, 2
  sizes = (
    (2, F),
    (F + 1, 2 * c),
    (c, 2 * z),  # the prior of z_3, then of z_2 and z_1
    *(2 * [(c + z, 2 * z)]),
    (F + c, 2 * z),
    *(2 * [(F + c + z, 2 * z)]),
    (3 * z + c, 2 * 2),
  )
  return sum(three_layers(inputs, 256, outputs) for inputs, outputs in sizes)


def kernel(size, inputs, channels):
  return size * size * inputs * channels + channels


def residual(channels):
  """Two 3x3 convolutions, a PReLU of one slope after each."""
  return 2 * kernel(3, channels, channels) + 2


def residual_encoder():
  return sum(
    kernel(size, inputs, channels) + 1 + residual(channels)
    for size, inputs, channels in ((4, 1, 16), (3, 16, 32), (2, 32, 32))
  )


def residual_decoder(inputs):
  """From 3x3x32 = 288 numbers up; a 1x1 convolution at the end."""
  return (
    dense(inputs, 288)
    + 1
    + sum(
      residual(before) + kernel(size, before, after) + 1
      for size, before, after in ((2, 32, 32), (3, 32, 16), (4, 16, 16))
    )
    + kernel(1, 16, 1)
  )


def matching(features, z, size):
  """Two controllers, keys, questions and a pseudo-input; z of all layers."""
  # A GRU: three maps of the input with bias, three of the state, one with.
  gru = 3 * dense(features, size) + 3 * size * size + size
  controllers = 2 * (gru + dense(size, 1) + size)
  keys = dense(features, size)
  questions = dense(features + size, size) + dense(z + size, size)
  questions += dense(size, size)
  return controllers + keys + questions + (features + size)


def gmn_small():
  # Sizes of vectors are those of one token of 16.
  features, size, z = 512 // 16, 192 // 16, 32 // 16
  encoder = mixer(49, 192, 2, features)
  decoder = mixer(2 * z + features, 192, 3, 49)
  heads = sum(
    mixer(features + given + above, 64, 2, 2 * z)
    for given in (size, features)
    for above in (0, z)
  )
  return encoder + decoder + heads + matching(512, 2 * 32, 192)


def published_matching():
  """psi 288, z 50; what lies between vectors has 200 units."""
  prior = dense(288 + 200, 200) + dense(200, 2 * 50)
  posterior = dense(2 * 288, 200) + dense(200, 2 * 50)
  return prior + posterior + matching(288, 50, 200)


def gmn_conv():
  nets = residual_encoder() + residual_decoder(50 + 288)
  return nets + published_matching()


def residual_mlp(inputs, depth, outputs):
  hidden = 2 * (depth - 1) * dense(200, 200)
  return dense(inputs, 200) + hidden + dense(200, outputs)


def gmn_fc():
  nets = residual_mlp(784, 2, 288) + residual_mlp(50 + 288, 3, 784)
  return nets + published_matching()


def vae_small():
  features, z = 512 // 16, 32 // 16
  priors = mixer(z, 64, 2, 2 * z)
  posteriors = sum(mixer(features + above, 64, 2, 2 * z) for above in (0, z))
  nets = mixer(49, 192, 2, features) + mixer(2 * z, 192, 3, 49)
  return nets + priors + posteriors


def vae_conv():
  posterior = dense(288, 200) + dense(200, 2 * 50)
  return residual_encoder() + posterior + residual_decoder(50)


def lstm(inputs, size):
  """Four maps of the input without bias, four of the state with."""
  return 4 * inputs * size + 4 * dense(size, size)


def draw(read, write, z):
  """States of 256; five numbers place a window; one blank canvas."""
  # The image and the error are read.
  encoder = dense(256, 5) + lstm(2 * read * read + 256, 256)
  decoder = lstm(z, 256) + dense(256, write * write) + dense(256, 5)
  return encoder + dense(256, 2 * z) + decoder + 28 * 28


def draw_small():
  return draw(12, 12, 32)


def draw_paper():
  return draw(2, 5, 100)


def sequential(size):
  """Patches of 12x12, z 16, a canvas of 4 channels; four numbers a window."""
  v = dense(144 + 1 + size, size)  # of the examples, if any, and the state
  seen = 2 * 144  # image and error
  inference = dense(seen + 2 * size, size) + dense(size, 2 * 16)
  writer = dense(size, 144 * 4) + dense(size, 4)
  readers = 2 * dense(size, 4)
  canvas = 28 * 28 * 4 + dense(4, 1)
  generation = v + lstm(16 + size, size) + writer + canvas
  return readers + inference + generation


def sequential_small():
  return sequential(256)


def sequential_paper():
  return sequential(400)


def unigram():
  return V


def lda():
  """Ten topics, of each a mean and a variance."""
  encoder = dense(V + 1, 128) + 2 * dense(128, 128) + dense(128, 2 * 10)
  return 10 * V + encoder


def gru(inputs, size):
  """Three gates; of those of the state only the last has an offset."""
  return 3 * dense(inputs, size) + 3 * size * size + size


def neural_lm():
  embedding, z = 128, 16
  q = gru(embedding, 128) + dense(128, 2 * z)
  p = dense(z, 256) + gru(embedding + z, 256) + dense(256, embedding)
  # and a word's own frequency
  return q + p + V * embedding + V


COUNTS = {
  ('unigram', 'small'): unigram,
  ('lda', 'small'): lda,
  ('neural_lm', 'small'): neural_lm,
  ('gmn', 'small'): gmn_small,
  ('gmn', 'conv'): gmn_conv,
  ('gmn', 'fc'): gmn_fc,
  ('vae', 'small'): vae_small,
  ('vae', 'conv'): vae_conv,
  ('draw', 'small'): draw_small,
  ('draw', 'paper'): draw_paper,
  ('sequential', 'small'): sequential_small,
  ('sequential', 'paper'): sequential_paper,
  ('statistician', 'small'): statistician_small,
  ('statistician', 'paper'): statistician_paper,
  ('statistician', 'reals'): statistician_reals,
  ('statistician', 'points'): statistician_points,
}


@pytest.mark.parametrize(('name', 'preset'), PRESETS + WORD_PRESETS)
def test_parameters_are_as_many_as_on_paper(name, preset):
  module = zoo.build(name, preset, shape(name, preset))
  shapes = jax.eval_shape(lambda: init(module))
  count = sum(leaf.size for leaf in jax.tree.leaves(shapes))
  assert count == COUNTS[name, preset]()


def test_every_preset_has_a_count():
  assert set(COUNTS) == set(PRESETS + WORD_PRESETS)
