"""The generative matching network (Bartunov & Vetrov 2016).

    p(x_1..x_T) = prod_t ∫ p(x_t | z_t, x_<t) p(z_t | x_<t) dz_t

Prior, likelihood and recognition model each match against the objects seen so
far, which need not be of one class. Shapes: T objects, K importance samples, D
the size of the latent, F features, P pseudo-inputs, M = T + P. One episode a
call; `jax.vmap` adds the batch.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct

from gen1shot.bounds import Bound
from gen1shot.distributions import DiagGaussian, kl, observation
from gen1shot.errors import InputError, check_choice
from gen1shot.nn.dense import MLP, join
from gen1shot.nn.images import image_decoder, image_encoder
from gen1shot.nn.sets import Matching, Memory, masked_mean, same_set

DECODERS = ('plain', 'dynamic')


@struct.dataclass
class Encoded:
  """What follows from the objects alone; every prefix in one pass."""

  memory: Memory  # M objects, the pseudo-inputs last
  visible: jax.Array  # boolean [T, M], what position t may match
  prior: DiagGaussian  # [T, D] p(z | x_<t)
  posterior: DiagGaussian  # [T, D] q(z | x_t, x_<t)


class GenerativeMatchingNetwork(nn.Module):
  """The generative matching network for objects of any shape.

  Raises (when it is first used):
    InputError: a field has no meaning, or does not fit the shape.
  """

  observation_shape: tuple[int, ...]  # of one object, (H, W, C) for images
  observation: str = 'bernoulli'  # bernoulli, gaussian or logistic
  nets: str = 'mixer'  # conv, dense, mixer or residual
  width: int = 192  # of the image nets
  encoder_depth: int = 2  # blocks of the image encoder
  decoder_depth: int = 3  # blocks of the image decoder
  features: int = 512  # F, of an encoded object
  hidden: int = 200  # width of the networks between vectors
  match_size: int = 200  # of controllers and match space
  matching: str = 'cosine'  # cosine, dot or average
  passes: int = 4  # of the controller of likelihood and recognition
  prior_passes: int = 1  # of the controller of the prior
  pseudo_inputs: int = 1  # P, objects that are learned
  use_pseudo_inputs: bool = True  # False removes them, after training too
  decoder: str = 'plain'  # plain or dynamic: matches predict its filters
  z_dim: int = 64  # D

  def setup(self) -> None:
    check_choice('decoder', self.decoder, DECODERS)
    if self.pseudo_inputs < 0:
      raise InputError(f'pseudo_inputs must be >= 0; got {self.pseudo_inputs}')
    self.likelihood, per_value = observation(self.observation)
    shape = self.observation_shape
    self.encoder = image_encoder(
      self.nets, shape, self.width, self.encoder_depth, self.features
    )
    self.image_net = image_decoder(
      self.nets,
      shape,
      self.width,
      self.decoder_depth,
      shape[-1] * per_value,
      self.decoder == 'dynamic',
    )
    size = self.match_size
    self.key_net = nn.Dense(size)
    self.shared = Matching(size, self.passes, self.matching)
    self.ask_of_x = nn.Dense(size)
    self.ask_of_z = nn.Dense(size)
    self.alone = Matching(size, self.prior_passes, self.matching)
    self.ask_alone = nn.Dense(size)
    self.prior_net = MLP(2 * self.z_dim, self.hidden, 1)
    self.posterior_net = MLP(2 * self.z_dim, self.hidden, 1)
    if self.pseudo_inputs:
      noise = nn.initializers.normal(1.0)
      P = self.pseudo_inputs
      self.pseudo_values = self.param(
        'pseudo_values', noise, (P, self.features)
      )
      self.pseudo_keys = self.param('pseudo_keys', noise, (P, size))

  # The four questions.

  def bound(self, x: jax.Array, mask: jax.Array | None = None) -> Bound:
    """The terms of the ELBO on log p(x_1..x_T), equation 12 of the paper.

    Args:
      x: objects [T, *shape].
      mask: boolean [T], objects that count; None for all.

    Uses the random stream `sample`.
    """
    encoded = self.encode(x, mask=mask)
    kl_local = kl(encoded.posterior, encoded.prior).sum(-1)
    log_likelihood = self._log_likelihood(
      x, encoded, encoded.posterior.sample(self.make_rng('sample'))
    )
    if mask is not None:
      log_likelihood = jnp.where(mask, log_likelihood, 0.0)
      kl_local = jnp.where(mask, kl_local, 0.0)
    return Bound(log_likelihood, kl_local, jnp.zeros(()))

  def log_weights(self, x: jax.Array, num_samples: int) -> jax.Array:
    """log importance weights of log p(x_t | x_<t), every prefix in one pass.

    Args:
      x: objects [T, *shape].
      num_samples: K.

    Returns:
      [K, T].
    """
    encoded = self.encode(x)
    z = self.sample_posterior(encoded, num_samples)
    return self.log_p(x, encoded, z) - self.log_q(encoded, z)

  def joint_log_weights(self, x: jax.Array, num_samples: int) -> jax.Array:
    """The same: log p(x_1..x_T) is the sum of the predictives."""
    return self.log_weights(x, num_samples)

  def predict(
    self,
    support: jax.Array,
    num_samples: int,
    mask: jax.Array | None = None,
  ) -> jax.Array:
    """Means of new objects from p(x | x_1..x_N).

    Args:
      support: [N, *shape]; N = 0, or a mask of False, means unconditional.
      num_samples: S.
      mask: boolean [N] or None.

    Returns:
      [S, *shape].
    """
    present = jnp.ones(len(support), bool) if mask is None else mask
    memory = self._memory(self.encoder(support))
    visible = self._with_pseudo_inputs(present)
    prior = self._prior(memory, visible)
    z = prior.sample(self.make_rng('sample'), (num_samples,))
    return self._likelihood(z, memory, visible).mean

  def embed(
    self, support: jax.Array, mask: jax.Array | None = None
  ) -> DiagGaussian:
    """q(z | x) without examples, averaged over a set: [N, *shape] -> [D].

    The parameters are averaged; they are 0, those of N(0, I), for N = 0.
    """
    features = self.encoder(support)
    memory = self._memory(features)
    nothing = jnp.zeros((len(support), len(support)), bool)
    q = self._posterior(features, memory, self._with_pseudo_inputs(nothing))
    return jax.tree.map(lambda leaf: masked_mean(leaf, mask)[0], q)

  # What bounds.dreg takes apart: log_weights = log_p - log_q at a sample.

  def encode(
    self,
    x: jax.Array,
    starts: jax.Array | None = None,
    mask: jax.Array | None = None,
  ) -> Encoded:
    """What follows from x alone, so that it is computed once.

    Args:
      x: objects [T, *shape].
      starts: boolean [T], True where a set begins, if x is several sets one
        after another; None for one set.
      mask: boolean [T], objects that later ones see; None for all.
    """
    features = self.encoder(x)
    memory = self._memory(features)
    seen = jnp.tril(same_set(len(x), starts), -1)
    if mask is not None:
      seen &= mask
    visible = self._with_pseudo_inputs(seen)
    return Encoded(
      memory,
      visible,
      self._prior(memory, visible),
      self._posterior(features, memory, visible),
    )

  def sample_posterior(self, encoded: Encoded, num_samples: int) -> jax.Array:
    """Draws z ~ q(z | x_t, x_<t) for every t: [K, T, D]."""
    return encoded.posterior.sample(self.make_rng('sample'), (num_samples,))

  def log_p(self, x: jax.Array, encoded: Encoded, z: jax.Array) -> jax.Array:
    """log p(x_t | z, x_<t) p(z | x_<t): [K, T]."""
    prior = encoded.prior.log_prob(z).sum(-1)
    return prior + self._log_likelihood(x, encoded, z)

  def log_q(self, encoded: Encoded, z: jax.Array) -> jax.Array:
    """log q(z | x_t, x_<t): [K, T]."""
    return encoded.posterior.log_prob(z).sum(-1)

  # Pieces.

  def _memory(self, features: jax.Array) -> Memory:
    keys = self.key_net(features)
    if not self.pseudo_inputs:
      return Memory(features, keys)
    return Memory(
      jnp.concatenate([features, self.pseudo_values]),
      jnp.concatenate([keys, self.pseudo_keys]),
    )

  def _with_pseudo_inputs(self, seen: jax.Array) -> jax.Array:
    """[..., N] -> [..., N + P]."""
    shape = (*seen.shape[:-1], self.pseudo_inputs)
    return jnp.concatenate(
      [seen, jnp.full(shape, self.use_pseudo_inputs)], axis=-1
    )

  def _prior(self, memory: Memory, visible: jax.Array) -> DiagGaussian:
    answer, state = self.alone(memory, visible, self.ask_alone)
    return DiagGaussian.from_parameters(self.prior_net(answer, state))

  def _posterior(
    self, features: jax.Array, memory: Memory, visible: jax.Array
  ) -> DiagGaussian:
    answer, _ = self.shared(
      memory, visible, lambda state: self.ask_of_x(join(features, state))
    )
    return DiagGaussian.from_parameters(self.posterior_net(features, answer))

  def _likelihood(self, z: jax.Array, memory: Memory, visible: jax.Array):
    """p(x | z, r) with r the answer of the memory to z."""
    answer, _ = self.shared(
      memory, visible, lambda state: self.ask_of_z(join(z, state))
    )
    answer = jnp.broadcast_to(answer, (*z.shape[:-1], answer.shape[-1]))
    return self.likelihood.from_parameters(self.image_net(z, answer))

  def _log_likelihood(
    self, x: jax.Array, encoded: Encoded, z: jax.Array
  ) -> jax.Array:
    event = tuple(range(-len(self.observation_shape), 0))
    likelihood = self._likelihood(z, encoded.memory, encoded.visible)
    return likelihood.log_prob(x).sum(event)
