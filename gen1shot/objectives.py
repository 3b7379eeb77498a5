"""What training maximises, per episode, in nats per object."""

import jax
from flax import linen as nn

from gen1shot import bounds, zoo
from gen1shot.bounds import Params
from gen1shot.config import Config
from gen1shot.errors import InputError

Metrics = dict[str, jax.Array]


def objective(
  module: nn.Module,
  config: Config,
  params: Params,
  x: jax.Array,
  key: jax.Array,
  step: jax.Array | None = None,
  starts: jax.Array | None = None,
  mask: jax.Array | None = None,
) -> tuple[jax.Array, Metrics]:
  """The bound that `config.objective` names, on one episode.

  Args:
    module: a model of the zoo.
    config: `objective`, `num_samples`, `gradient`, `kl_warmup` and `free_bits`
      are read.
    params: of the module.
    x: objects [T, *shape].
    key: consumed.
    step: of the training, with dropout, and KL terms that warm up and have free
      bits; None means the true bound.
    starts: boolean [T], True where a set begins, if x is several sets one after
      another (`iwae` only); None for one set.
    mask: boolean [T], objects that count; None for all.

  Returns:
    The bound divided by T, [], to be maximised; and its parts.
  """
  if config.objective == 'elbo':
    return _elbo(module, config, params, x, key, step, mask)
  if zoo.is_of_words(module):
    return _joint_iwae(module, config, params, x, key, mask)
  return _iwae(module, config, params, x, key, starts)


def check_objective(module: nn.Module, config: Config) -> None:
  """Raises InputError unless model and objective fit each other.

  DReG takes log weights apart, which models whose posterior is a recurrence do
  not offer: their draw of z_s is part of computing q(z_s+1). Nor do models of
  words. The ELBO of a whole set has no use for a proposal of each position.
  """
  proposal = getattr(module, 'proposal', 'upto')
  if config.objective == 'elbo' and proposal != 'upto':
    raise InputError(
      f'objective=elbo is of whole sets and has proposal=upto; got {proposal}: '
      'use objective=iwae'
    )
  dreg = config.objective == 'iwae' and config.gradient == 'dreg'
  if dreg and not hasattr(module, 'log_q'):
    raise InputError(
      'gradient=dreg is for models whose log weights can be taken apart; got '
      f'{config.model} with objective=iwae: use gradient=plain, or '
      'objective=elbo'
    )


def _elbo(module, config, params, x, key, step, mask):
  variables = {'params': params}
  rngs = _streams(key)
  if step is None:
    del rngs['dropout']
  bound = module.apply(variables, x, mask, method='bound', rngs=rngs)
  metrics = {
    'log_likelihood': bound.log_likelihood.mean(),
    'kl_local': bound.kl_local.mean(),
    'kl_context': bound.kl_context / len(x),
  }
  if step is None:
    return bound.elbo() / len(x), metrics
  weight = bounds.kl_weight(step, config.kl_warmup)
  return bound.elbo(weight, config.free_bits) / len(x), metrics


def _joint_iwae(module, config, params, x, key, mask):
  weights = module.apply(
    {'params': params},
    x,
    config.num_samples,
    mask,
    method='joint_log_weights',
    rngs=_streams(key),
  )
  return bounds.iwae(weights).sum() / len(x), {}


def _iwae(module, config, params, x, key, starts):
  rngs = _streams(key)

  def call(method, params, *args):
    return module.apply({'params': params}, *args, method=method, rngs=rngs)

  def sample(given):
    return call('sample_posterior', *given, config.num_samples)

  def log_p(given, latents):
    params, encoded = given
    return call('log_p', params, x, encoded, latents)

  def log_q(given, latents):
    return call('log_q', *given, latents)

  if config.gradient == 'plain':
    weights = call('log_weights', params, x, config.num_samples, starts)
    positions = bounds.iwae(weights)
  else:
    # The encoding stands beside the parameters: it depends on them, and is
    # differentiated once for all that is made of it.
    given = (params, call('encode', params, x, starts))
    positions = bounds.dreg(sample, log_p, log_q, given)
  return positions.mean(), {'first': positions[0], 'last': positions[-1]}


def _streams(key: jax.Array) -> dict[str, jax.Array]:
  sample_key, dropout_key = jax.random.split(key)
  return {'sample': sample_key, 'dropout': dropout_key}
