"""Every model of the zoo, and that none is missing anywhere."""

import dataclasses
import importlib
import inspect
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen1shot import zoo
from gen1shot.config import Config
from gen1shot.errors import InputError

ROOT = pathlib.Path(__file__).parent.parent
SHAPE = (28, 28, 1)
T, K = 3, 2

PRESETS = [
  (name, preset) for name, entry in zoo.ZOO.items() for preset in entry.presets
]


# --- parameter counts, on paper


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


COUNTS = {
  ('gmn', 'small'): gmn_small,
  ('gmn', 'conv'): gmn_conv,
  ('gmn', 'fc'): gmn_fc,
  ('vae', 'small'): vae_small,
  ('vae', 'conv'): vae_conv,
  ('statistician', 'small'): statistician_small,
  ('statistician', 'paper'): statistician_paper,
}


@pytest.mark.parametrize(('name', 'preset'), PRESETS)
def test_parameters_are_as_many_as_on_paper(name, preset):
  shapes = jax.eval_shape(lambda: init(zoo.build(name, preset, SHAPE)))
  count = sum(leaf.size for leaf in jax.tree.leaves(shapes))
  assert count == COUNTS[name, preset]()


# --- every model, tiny

TINY = {
  'width': 8,
  'encoder_depth': 1,
  'decoder_depth': 1,
  'mlp_depth': 1,
  'features': 32,  # the mixer's vectors are divided among 16 tokens
  'hidden': 8,
  'c_dim': 32,
  'z_dim': 16,
  'match_size': 8,
}


def streams(key):
  names = ('params', 'sample', 'dropout')
  return dict(zip(names, jax.random.split(key, 3), strict=True))


def init(module):
  rngs = streams(jax.random.key(0))
  return module.init(rngs, jnp.zeros((T, *SHAPE)), method='bound')


@dataclasses.dataclass
class Tiny:
  """A model of one preset's kind."""

  module: object
  params: object

  def questions(self):
    """name -> a function of (params, x, key), one for each question."""

    def ask(method, *args):
      def answer(params, x, key):
        return self.module.apply(
          params, x, *args, method=method, rngs=streams(key)
        )

      return answer

    return {
      'bound': ask('bound'),
      'log_weights': ask('log_weights', K),
      'joint_log_weights': ask('joint_log_weights', K),
      'predict': ask('predict', K),
      'embed': ask('embed'),
    }

  def all(self, params, x, key):
    """Every question at once: one compilation."""
    return {
      name: answer(params, x, key) for name, answer in self.questions().items()
    }


@pytest.fixture(
  scope='module', params=PRESETS, ids=lambda preset: '-'.join(preset)
)
def tiny(request):
  name, preset = request.param
  known = zoo.module_fields(name, preset)
  fields = {k: v for k, v in TINY.items() if k in known}
  scale = 0.3
  if known['nets'] == 'residual':
    # Nothing normalises there: larger parameters saturate the controllers.
    fields['features'], scale = known['features'], 0.1
  module = zoo.build(name, preset, SHAPE, **fields)
  shapes = jax.eval_shape(lambda: init(module))
  rng = np.random.default_rng(0)
  noise = jax.tree.map(lambda leaf: scale * rng.normal(size=leaf.shape), shapes)
  return Tiny(module, jax.tree.map(jnp.float32, noise))


@pytest.fixture(scope='module')
def episodes():
  return jax.random.bernoulli(jax.random.key(1), 0.3, (2, T, *SHAPE)) * 1.0


@pytest.fixture(scope='module')
def answers(tiny, episodes):
  return jax.jit(tiny.all)(tiny.params, episodes[0], jax.random.key(0))


def assert_close(a, b):
  # float32 sums over 784 pixels, in another order
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), a, b
  )


def test_answers_have_their_shapes_and_are_finite(answers):
  bound, q_c = answers['bound'], answers['embed']
  assert bound.log_likelihood.shape == bound.kl_local.shape == (T,)
  assert bound.kl_context.shape == ()
  assert answers['log_weights'].shape == (K, T)
  # The factors of the joint: one a set, or one an object.
  assert answers['joint_log_weights'].shape in ((K, 1), (K, T))
  assert answers['predict'].shape == (K, *SHAPE)
  assert q_c.mean.shape == q_c.logvar.shape
  for leaf in jax.tree.leaves(answers):
    assert leaf.dtype == jnp.float32
    assert jnp.isfinite(leaf).all()


def test_divergences_are_positive(answers):
  assert (answers['bound'].kl_local > 0).all()
  # 0 for the models without a context
  assert answers['bound'].kl_context >= 0


def test_means_of_binary_images_are_probabilities(answers):
  assert answers['predict'].min() >= 0
  assert answers['predict'].max() <= 1


def test_no_support_is_legal(tiny):
  empty = jnp.zeros((0, *SHAPE))
  for method in ('predict', 'embed'):
    answer = jax.eval_shape(
      tiny.questions()[method], tiny.params, empty, jax.random.key(0)
    )
    assert all(leaf.size for leaf in jax.tree.leaves(answer))


def test_answers_are_the_same_under_jit_or_not(tiny, episodes, answers):
  bound = tiny.questions()['bound']
  assert_close(
    answers['bound'], bound(tiny.params, episodes[0], jax.random.key(0))
  )


def test_vmap_over_episodes_is_a_loop_over_episodes(tiny, episodes, answers):
  keys = jax.random.split(jax.random.key(2))
  keys = keys.at[0].set(jax.random.key(0))
  together = jax.jit(jax.vmap(tiny.all, (None, 0, 0)))(
    tiny.params, episodes, keys
  )
  assert_close(jax.tree.map(lambda leaf: leaf[0], together), answers)
  # and the second episode was not taken for the first
  assert (together['embed'].mean[0] != together['embed'].mean[1]).any()


@pytest.mark.parametrize('objective', ['elbo', 'log_weights'])
def test_every_parameter_is_trained(tiny, episodes, objective):
  def loss(params):
    questions = tiny.questions()
    key = jax.random.key(0)
    if objective == 'elbo':
      return questions['bound'](params, episodes[0], key).elbo()
    return questions['log_weights'](params, episodes[0], key).sum()

  gradients = jax.jit(jax.grad(loss))(tiny.params)
  for path, leaf in jax.tree_util.tree_leaves_with_path(gradients):
    assert jnp.isfinite(leaf).all(), jax.tree_util.keystr(path)
    assert leaf.any(), jax.tree_util.keystr(path)


# --- the registry


def test_unknown_names_are_refused_with_the_nearest():
  for arguments, near in (
    (('statistican', 'small'), 'statistician'),
    (('statistician', 'smal'), 'small'),
  ):
    with pytest.raises(InputError, match=f'did you mean {near!r}'):
      zoo.build(*arguments, SHAPE)
  with pytest.raises(InputError, match="did you mean 'width'"):
    zoo.build('statistician', 'small', SHAPE, widht=8)


def test_fields_of_a_preset_are_those_that_build_gives():
  for name, preset in PRESETS:
    fields = zoo.module_fields(name, preset)
    module = zoo.build(name, preset, SHAPE)
    assert {key: getattr(module, key) for key in fields} == fields
    assert not {'parent', 'name', 'observation_shape'} & set(fields)


def test_build_replaces_fields():
  assert zoo.build('statistician', 'small', SHAPE, width=5).width == 5


# --- nothing is missing


def test_every_preset_has_a_count():
  assert set(COUNTS) == set(PRESETS)


@pytest.mark.parametrize('name', zoo.ZOO)
def test_every_model_has_a_configuration(name, monkeypatch):
  monkeypatch.syspath_prepend(str(ROOT / 'experiments'))
  configs = importlib.import_module(f'configs.{name}').CONFIGS
  assert set(configs) == set(zoo.ZOO[name].presets)
  for preset, config in configs.items():
    assert (config.model, config.preset) == (name, preset)


@pytest.mark.parametrize('name', zoo.ZOO)
def test_every_model_has_a_row_in_the_readme(name):
  assert f'| `{name}`' in (ROOT / 'README.md').read_text()


def sources():
  paths = [*ROOT.glob('gen1shot/**/*.py'), *ROOT.glob('experiments/**/*.py')]
  return [path.read_text() for path in paths if path.name != 'config.py']


def test_every_field_of_a_configuration_is_read():
  # Checks do not count as readers, properties do.
  properties = [
    inspect.getsource(member.fget)
    for _, member in inspect.getmembers(Config)
    if isinstance(member, property)
  ]
  text = '\n'.join([*sources(), *properties])
  read = set(re.findall(r'\b(?:config|self)\.(\w+)', text))
  fields = {field.name for field in dataclasses.fields(Config)}
  assert fields - read == set()


@pytest.mark.parametrize('name', zoo.ZOO)
def test_every_field_of_a_model_is_read(name):
  module = zoo.ZOO[name].module
  text = inspect.getsource(module)
  read = set(re.findall(r'\bself\.(\w+)', text))
  assert set(zoo.module_fields(name, 'small')) - read == set()
