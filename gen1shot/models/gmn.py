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
from gen1shot.distributions import DiagGaussian, observation
from gen1shot.errors import check_choice, check_positive
from gen1shot.nn import latents
from gen1shot.nn.dense import join
from gen1shot.nn.images import image_decoder, image_encoder, image_head
from gen1shot.nn.rows import Dense
from gen1shot.nn.sets import (
  Matching,
  Memory,
  Question,
  blank,
  gathered,
  masked_mean,
  same_set,
)

DECODERS = ('plain', 'dynamic')

Given = tuple[jax.Array, jax.Array]
Zs = tuple[jax.Array, ...]  # L arrays [K, T, D], z_L first


@struct.dataclass
class Encoded:
  """What follows from the objects alone; every prefix in one pass."""

  memory: Memory  # M objects, the pseudo-inputs last
  visible: jax.Array  # boolean [T, M], what position t may match
  prior: Given  # vectors [T, .] that p(z | x_<t) is given
  posterior: Given  # vectors [T, .] that q(z | x_t, x_<t) is given


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
  hidden: int = 64  # width of the networks between vectors
  mlp_depth: int = 2  # and their depth; 0 is linear
  match_size: int = 192  # of controllers and match space
  matching: str = 'cosine'  # cosine, dot or average
  passes: int = 4  # of the controller of likelihood and recognition
  prior_passes: int = 1  # of the controller of the prior
  pseudo_inputs: int = 1  # P, objects that are learned
  use_pseudo_inputs: bool = True  # False removes them, after training too
  decoder: str = 'plain'  # plain or dynamic: matches predict its filters
  z_dim: int = 32  # D, of each stochastic layer
  layers: int = 2  # L; the publication has 1

  def setup(self) -> None:
    check_choice('decoder', self.decoder, DECODERS)
    check_positive(
      self, 'layers', 'width', 'features', 'hidden', 'match_size', 'z_dim'
    )
    check_positive(
      self,
      'encoder_depth',
      'decoder_depth',
      'mlp_depth',
      'pseudo_inputs',
      least=0,
    )
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
    self.key_net = Dense(size)
    self.shared = Matching(size, self.passes, self.matching)
    self.ask_of_x = Question(size)
    self.ask_of_z = Question(size)
    self.alone = Matching(size, self.prior_passes, self.matching)
    self.ask_alone = Dense(size)
    self.priors = [self._head() for _ in range(self.layers)]
    self.posteriors = [self._head() for _ in range(self.layers)]
    if self.pseudo_inputs:
      noise = nn.initializers.normal(1.0)
      P = self.pseudo_inputs
      self.pseudo_values = self.param(
        'pseudo_values', noise, (P, self.features)
      )
      self.pseudo_keys = self.param('pseudo_keys', noise, (P, size))

  def _head(self) -> nn.Module:
    return image_head(
      self.nets,
      self.observation_shape,
      self.hidden,
      self.mlp_depth,
      2 * self.z_dim,
    )

  # The four questions.

  def bound(self, x: jax.Array, mask: jax.Array | None = None) -> Bound:
    """The terms of the ELBO on log p(x_1..x_T), equation 12 of the paper.

    Args:
      x: objects [T, *shape].
      mask: boolean [T], objects that count; None for all.

    Uses the random stream `sample`.
    """
    x = blank(x, mask)
    encoded = self.encode(x, mask=mask)
    # sum_l KL(q(z_l | z_l+1, x_t, x_<t) || p(z_l | z_l+1, x_<t))
    zs, kl_local = latents.sample_with_kl(
      self.posteriors, encoded.posterior, self.priors, encoded.prior, self._key
    )
    # E log p(x_t | z, x_<t)
    log_likelihood = self._log_likelihood(x, encoded, zs)
    return Bound(log_likelihood, kl_local, jnp.zeros(())).where(mask)

  def log_weights(
    self,
    x: jax.Array,
    num_samples: int,
    starts: jax.Array | None = None,
  ) -> jax.Array:
    """log importance weights of log p(x_t | x_<t), every prefix in one pass.

    Args:
      x: objects [T, *shape].
      num_samples: K.
      starts: boolean [T], True where a set begins, if x is several sets one
        after another; None for one set.

    Returns:
      [K, T].
    """
    encoded = self.encode(x, starts)
    zs = self.sample_posterior(encoded, num_samples)
    return self.log_p(x, encoded, zs) - self.log_q(encoded, zs)

  def joint_log_weights(self, x: jax.Array, num_samples: int) -> jax.Array:
    """The same: log p(x_1..x_T) is the sum of the predictives."""
    return self.log_weights(x, num_samples)

  def predict(
    self,
    support: jax.Array,
    num_samples: int,
    mask: jax.Array | None = None,
    axis_name: str | None = None,
  ) -> jax.Array:
    """Means of new objects from p(x | x_1..x_N).

    Args:
      support: [N, *shape]; N = 0, or a mask of False, means unconditional.
      num_samples: S.
      mask: boolean [N] or None.
      axis_name: of devices that have a share of the support each.

    Returns:
      [S, *shape].
    """
    present = jnp.ones(len(support), bool) if mask is None else mask
    features = self.encoder(blank(support, mask))
    memory = self._memory(gathered(features, axis_name))
    visible = self._with_pseudo_inputs(gathered(present, axis_name))
    given = self.alone(memory, visible, lambda: self.ask_alone)
    zs = latents.sample(self.priors, self._key, *given, shape=(num_samples,))
    return self._likelihood(zs, memory, visible).mean

  def embed(
    self,
    support: jax.Array,
    mask: jax.Array | None = None,
    axis_name: str | None = None,
  ) -> DiagGaussian:
    """q(z_L | x) without examples, averaged over a set: [N, *shape] -> [D].

    The parameters are averaged; they are 0, those of N(0, I), for N = 0. With
    an `axis_name`, over the shares that the devices of that axis have.
    """
    features = self.encoder(blank(support, mask))
    memory = self._memory(features)
    nothing = jnp.zeros((len(support), len(support)), bool)
    visible = self._with_pseudo_inputs(nothing)
    q = latents.layer(
      self.posteriors[0], *self._seen_beside(features, memory, visible)
    )
    return jax.tree.map(lambda leaf: masked_mean(leaf, mask, axis_name)[0], q)

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
      self.alone(memory, visible, lambda: self.ask_alone),
      self._seen_beside(features, memory, visible),
    )

  def sample_posterior(self, encoded: Encoded, num_samples: int) -> Zs:
    """Draws z ~ q(z | x_t, x_<t) for every t."""
    return latents.sample(
      self.posteriors, self._key, *encoded.posterior, shape=(num_samples,)
    )

  def log_p(self, x: jax.Array, encoded: Encoded, zs: Zs) -> jax.Array:
    """log p(x_t | z, x_<t) p(z | x_<t): [K, T]."""
    prior = latents.log_prob(self.priors, zs, *encoded.prior)
    return prior + self._log_likelihood(x, encoded, zs)

  def log_q(self, encoded: Encoded, zs: Zs) -> jax.Array:
    """log q(z | x_t, x_<t): [K, T]."""
    return latents.log_prob(self.posteriors, zs, *encoded.posterior)

  # Pieces.

  def _key(self) -> jax.Array:
    return self.make_rng('sample')

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

  def _seen_beside(
    self, features: jax.Array, memory: Memory, visible: jax.Array
  ) -> Given:
    """Objects [T, F] and the answers of the memory to them [T, F]."""
    answer, _ = self.shared(memory, visible, lambda: self.ask_of_x(features))
    return features, answer

  def _likelihood(self, zs: Zs, memory: Memory, visible: jax.Array):
    """p(x | z, r) with r the answer of the memory to z."""
    answer, _ = self.shared(memory, visible, lambda: self.ask_of_z(join(*zs)))
    return self.likelihood.from_parameters(self.image_net(*zs, answer))

  def _log_likelihood(
    self, x: jax.Array, encoded: Encoded, zs: Zs
  ) -> jax.Array:
    event = tuple(range(-len(self.observation_shape), 0))
    likelihood = self._likelihood(zs, encoded.memory, encoded.visible)
    return likelihood.log_prob(x).sum(event)
