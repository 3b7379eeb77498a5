"""What training maximises, per episode, in nats per object."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from gen1shot import bounds
from gen1shot.bounds import Params
from gen1shot.config import Config

Metrics = dict[str, jax.Array]


def objective(
  module: nn.Module,
  config: Config,
  params: Params,
  x: jax.Array,
  key: jax.Array,
  step: jax.Array | None = None,
) -> tuple[jax.Array, Metrics]:
  """The bound that `config.objective` names, on one episode.

  Args:
    module: a model of the zoo.
    config: `objective`, `num_samples`, `gradient` and `kl_warmup` are read.
    params: of the module.
    x: objects [T, *shape].
    key: consumed.
    step: scales the KL terms while they warm up; None means the true bound.

  Returns:
    The bound divided by T, [], to be maximised; and its parts.
  """
  chosen = _elbo if config.objective == 'elbo' else _iwae
  return chosen(module, config, params, x, key, step)


def _elbo(module, config, params, x, key, step):
  variables = {'params': params}
  bound = module.apply(variables, x, method='bound', rngs=_streams(key))
  weight = 1.0 if step is None else bounds.kl_weight(step, config.kl_warmup)
  metrics = {
    'log_likelihood': bound.log_likelihood.mean(),
    'kl_local': bound.kl_local.mean(),
    'kl_context': bound.kl_context / len(x),
    'kl_weight': jnp.asarray(weight),
  }
  return bound.elbo(weight) / len(x), metrics


def _iwae(module, config, params, x, key, step):
  del step
  rngs = _streams(key)
  K = config.num_samples

  def call(method, params, *args):
    return module.apply({'params': params}, *args, method=method, rngs=rngs)

  if config.gradient == 'dreg':
    positions = bounds.dreg(
      lambda params: call('sample_posterior', params, x, K),
      lambda params, latents: call('log_p', params, x, latents),
      lambda params, latents: call('log_q', params, x, latents),
      params,
    )
  else:
    positions = bounds.iwae(call('log_weights', params, x, K))
  return positions.mean(), {'first': positions[0], 'last': positions[-1]}


def _streams(key: jax.Array) -> dict[str, jax.Array]:
  sample_key, dropout_key = jax.random.split(key)
  return {'sample': sample_key, 'dropout': dropout_key}
