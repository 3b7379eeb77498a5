"""The neural statistician (Edwards & Storkey 2016).

    p(x_1..x_T) = ∫ p(c) prod_t ∫ p(x_t | z_t, c) p(z_t | c) dz_t dc

with z_t = (z_1..z_L) a chain of L stochastic layers. Shapes: T objects, K
importance samples, D the size of a latent, F features. One episode a call;
`jax.vmap` adds the batch.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct

from gen1shot.bounds import Bound
from gen1shot.distributions import DiagGaussian, kl, observation
from gen1shot.errors import check_choice, check_positive
from gen1shot.nn import latents
from gen1shot.nn.dense import join
from gen1shot.nn.images import image_decoder, image_encoder, image_head
from gen1shot.nn.sets import (
  blank,
  masked_max,
  masked_mean,
  prefix_maxima,
  prefix_means,
)

POOLINGS = ('mean', 'mean_and_max')
PROPOSALS = ('upto', 'before')

# q(c | set) starts narrower than p(c), so that the context carries a signal
# from the first step on; at equal width the other networks learn to ignore it.
_START_LOGVAR = -3.0


@struct.dataclass
class Encoded:
  """What the networks of q see of an episode; every prefix in one pass."""

  h: jax.Array  # [T, F] features of the objects
  before: DiagGaussian  # [T, D] q(c | x_<t), the prior of position t
  upto: DiagGaussian  # [T, D] q(c | x_<=t)


@struct.dataclass
class Latents:
  """What the posterior samples, for K samples of T objects."""

  c: jax.Array  # [K, T, D]; [K, 1, D] where the objects share one context
  z: tuple[jax.Array, ...]  # L arrays [K, T, D], z_L first


class Statistician(nn.Module):
  """The neural statistician for objects of any shape.

  Raises (when it is first used):
    InputError: a field has no meaning, or does not fit the shape.
  """

  observation_shape: tuple[int, ...]  # of one object, (H, W, C) for images
  observation: str = 'bernoulli'  # bernoulli, gaussian or logistic
  nets: str = 'mixer'  # one of nn/images.py: conv, dense, mixer or residual
  width: int = 192  # of the image nets
  encoder_depth: int = 2  # blocks of the image encoder
  decoder_depth: int = 3  # blocks of the image decoder
  features: int = 512  # F, of an encoded object
  hidden: int = 64  # width of the networks between vectors
  mlp_depth: int = 2  # and their depth; 0 is linear
  c_dim: int = 128  # of the context
  z_dim: int = 32  # of each stochastic layer
  layers: int = 2  # L
  pooling: str = 'mean'  # of the features of a set; mean or mean_and_max
  proposal: str = 'upto'  # of c at position t, see log_weights; or before
  sample_dropout: bool = True  # `bound` hides a random subset from q(c)

  def setup(self) -> None:
    check_choice('pooling', self.pooling, POOLINGS)
    check_choice('proposal', self.proposal, PROPOSALS)
    check_positive(
      self, 'layers', 'width', 'features', 'hidden', 'c_dim', 'z_dim'
    )
    check_positive(self, 'encoder_depth', 'decoder_depth', 'mlp_depth', least=0)
    self.likelihood, per_value = observation(self.observation)
    outputs = self.observation_shape[-1] * per_value
    shape = self.observation_shape
    self.encoder = image_encoder(
      self.nets, shape, self.width, self.encoder_depth, self.features
    )
    self.decoder = image_decoder(
      self.nets, shape, self.width, self.decoder_depth, outputs
    )
    self.statistic = self._head(2 * self.c_dim)
    self.priors = [self._head(2 * self.z_dim) for _ in range(self.layers)]
    self.posteriors = [self._head(2 * self.z_dim) for _ in range(self.layers)]

  def _head(self, features: int) -> nn.Module:
    return image_head(
      self.nets, self.observation_shape, self.hidden, self.mlp_depth, features
    )

  # The four questions.

  def bound(self, x: jax.Array, mask: jax.Array | None = None) -> Bound:
    """The terms of the ELBO on log p(x_1..x_T), equation 5 of the paper.

    Args:
      x: objects [T, *shape].
      mask: boolean [T], objects that count; None for all.

    Uses the random stream `sample`; given a stream `dropout`, drops objects.
    """
    x = blank(x, mask)
    h = self.encoder(x)
    drops = self.sample_dropout and self.has_rng('dropout')
    pooled = self._keep_some(len(x), mask) if drops else mask
    # q(c | D) and KL(q(c | D) || p(c))
    q_c = self._context(*self._pool(h, pooled))
    kl_context = kl(q_c, self._context_prior()).sum(-1)
    c = q_c.sample(self._key(), (1,))
    # sum_l KL(q(z_l | z_l+1, x, c) || p(z_l | z_l+1, c)), top layer first
    zs, kl_local = latents.sample_with_kl(
      self.posteriors, (h, c), self.priors, (c,), self._key
    )
    # E log p(x | z_1..z_L, c)
    log_likelihood = self._log_likelihood(x, c, zs)
    return Bound(log_likelihood, kl_local, kl_context).where(mask)

  def log_weights(
    self,
    x: jax.Array,
    num_samples: int,
    starts: jax.Array | None = None,
  ) -> jax.Array:
    """log importance weights of log p(x_t | x_<t), every prefix in one pass.

    p(x_t | x_<t) is defined as ∫ q(c | x_<t) p(x_t | c) dc, with p(c) for the
    empty prefix. c is drawn from q(c | x_<=t) or, with the proposal `before`,
    from q(c | x_<t) itself. Trained with the latter a context pays nothing for
    what it knows, and has no use for what tells x_t from its class.

    Args:
      x: objects [T, *shape].
      num_samples: K.
      starts: boolean [T], True where a set begins, if x is several sets one
        after another; None for one set.

    Returns:
      [K, T].
    """
    encoded = self.encode(x, starts)
    drawn = self.sample_posterior(encoded, num_samples)
    return self.log_p(x, encoded, drawn) - self.log_q(encoded, drawn)

  def joint_log_weights(self, x: jax.Array, num_samples: int) -> jax.Array:
    """log importance weights of log p(x_1..x_T): [T, *shape] -> [K, 1]."""
    h = self.encoder(x)
    q_c = self._context(*self._pool(h))
    c = q_c.sample(self._key(), (num_samples,))  # [K, D]
    objects_c = c[:, None]
    zs = latents.sample(self.posteriors, self._key, h, objects_c)
    local = self._log_p_local(x, Latents(objects_c, zs))
    local -= latents.log_prob(self.posteriors, zs, h, objects_c)
    prior = self._context_prior().log_prob(c) - q_c.log_prob(c)
    return local.sum(-1, keepdims=True) + prior.sum(-1, keepdims=True)

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
    q_c = self.embed(support, mask, axis_name)
    c = q_c.sample(self._key(), (num_samples,))
    return self._likelihood(c, latents.sample(self.priors, self._key, c)).mean

  def embed(
    self,
    support: jax.Array,
    mask: jax.Array | None = None,
    axis_name: str | None = None,
  ) -> DiagGaussian:
    """q(c | x_1..x_N), and p(c) for N = 0: [N, *shape] -> [D].

    With an `axis_name`, of the shares that the devices of that axis have.
    """
    h = self.encoder(blank(support, mask))
    return self._context(*self._pool(h, mask, axis_name))

  # What bounds.dreg takes apart: log_weights = log_p - log_q at a sample.

  def encode(self, x: jax.Array, starts: jax.Array | None = None) -> Encoded:
    """What follows from x alone, so that it is computed once.

    Args:
      x: objects [T, *shape].
      starts: boolean [T], True where a set begins, if x is several sets one
        after another; None for one set.
    """
    h = self.encoder(x)
    upto = self._context(*self._pool_prefixes(h, starts))
    first = jnp.arange(len(x)) == 0
    if starts is not None:
      first |= starts
    # What is known before t is what was known up to t - 1, or the prior.
    before = jax.tree.map(
      lambda prior, leaf: jnp.where(
        first[:, None], prior, jnp.roll(leaf, 1, axis=0)
      ),
      self._context_prior(),
      upto,
    )
    return Encoded(h, before, upto)

  def sample_posterior(self, encoded: Encoded, num_samples: int) -> Latents:
    """Draws c from the proposal and z ~ q(z | x_t, c) for every t."""
    c = self._proposal(encoded).sample(self._key(), (num_samples,))
    return Latents(c, latents.sample(self.posteriors, self._key, encoded.h, c))

  def log_p(self, x: jax.Array, encoded: Encoded, drawn: Latents) -> jax.Array:
    """log p(x_t | z, c) p(z | c) q(c | x_<t): [K, T].

    The last factor is left out where it cancels.
    """
    local = self._log_p_local(x, drawn)
    if self._cancels(drawn):
      return local
    return encoded.before.log_prob(drawn.c).sum(-1) + local

  def log_q(self, encoded: Encoded, drawn: Latents) -> jax.Array:
    """log of q(z | x_t, c) and of the proposal, unless it cancels: [K, T]."""
    local = latents.log_prob(self.posteriors, drawn.z, encoded.h, drawn.c)
    if self._cancels(drawn):
      return local
    return self._proposal(encoded).log_prob(drawn.c).sum(-1) + local

  # Pieces.

  def _key(self) -> jax.Array:
    return self.make_rng('sample')

  def _proposal(self, encoded: Encoded) -> DiagGaussian:
    """What c is drawn from: [T, D]."""
    return encoded.before if self.proposal == 'before' else encoded.upto

  def _cancels(self, drawn: Latents) -> bool:
    """Whether the factors of a c that is drawn from its prior are left out.

    Their ratio is 1, and of one sample the gradient is without the noise of
    their scores. Of several, DReG needs the score that the prior keeps.
    """
    return self.proposal == 'before' and len(drawn.c) == 1

  def _keep_some(self, T: int, mask: jax.Array | None) -> jax.Array:
    """Sample dropout: a random subset, of a uniform size, that is pooled."""
    key = self.make_rng('dropout')
    size_key, order_key = jax.random.split(key)
    present = jnp.ones(T, bool) if mask is None else mask
    order = jnp.where(present, jax.random.uniform(order_key, (T,)), 2.0)
    kept = jax.random.randint(size_key, (), 1, present.sum() + 1)
    return present & (order.argsort().argsort() < kept)

  def _pool(
    self,
    h: jax.Array,
    mask: jax.Array | None = None,
    axis_name: str | None = None,
  ) -> tuple[jax.Array, jax.Array]:
    """What is pooled of h [T, F], and the count []."""
    pooled, count = masked_mean(h, mask, axis_name)
    if self.pooling == 'mean_and_max':
      pooled = join(pooled, masked_max(h, mask, axis_name))
    return pooled, count

  def _pool_prefixes(
    self, h: jax.Array, starts: jax.Array | None
  ) -> tuple[jax.Array, jax.Array]:
    """The same of x_<=t for every t, and the counts [T]."""
    pooled, counts = prefix_means(h, starts)
    if self.pooling == 'mean_and_max':
      pooled = join(pooled, prefix_maxima(h, starts))
    return pooled, counts

  def _context_prior(self) -> DiagGaussian:
    return DiagGaussian.standard((self.c_dim,))

  def _context(self, pooled: jax.Array, count: jax.Array) -> DiagGaussian:
    """q(c | set) from pooled features [..., F] and counts [...]."""
    # log, because the context's precision grows with the count
    size = jnp.log1p(count)[..., None]
    mean, logvar = jnp.split(self.statistic(pooled, size), 2, axis=-1)
    parameters = jnp.concatenate([mean, logvar + _START_LOGVAR], -1)
    # An empty set knows the prior: zero parameters are N(0, I).
    return DiagGaussian.from_parameters(
      jnp.where(count[..., None] > 0, parameters, 0.0)
    )

  def _log_p_local(self, x: jax.Array, drawn: Latents) -> jax.Array:
    """log p(x | z, c) p(z | c): [K, T]."""
    prior = latents.log_prob(self.priors, drawn.z, drawn.c)
    return prior + self._log_likelihood(x, drawn.c, drawn.z)

  def _likelihood(self, c: jax.Array, zs: tuple[jax.Array, ...]):
    """p(x | z_1..z_L, c); every layer has a skip connection to the decoder."""
    return self.likelihood.from_parameters(self.decoder(*zs, c))

  def _log_likelihood(
    self, x: jax.Array, c: jax.Array, zs: tuple[jax.Array, ...]
  ) -> jax.Array:
    event = tuple(range(-len(self.observation_shape), 0))
    return self._likelihood(c, zs).log_prob(x).sum(event)
