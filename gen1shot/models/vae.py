"""The variational autoencoder (Kingma & Welling 2014), of L stochastic layers.

    p(x_1..x_T) = prod_t ∫ p(x_t | z_1) p(z_1 | z_2) .. p(z_L) dz

The baseline of the zoo: objects are independent, so examples cannot help. With
`objective=iwae` and K samples it is the importance weighted autoencoder (Burda
et al. 2016). Shapes: T objects, K importance samples, D the size of a latent, F
features. One episode a call; `jax.vmap` adds the batch.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from gen1shot.bounds import Bound
from gen1shot.distributions import DiagGaussian, observation
from gen1shot.errors import check_positive
from gen1shot.nn import latents
from gen1shot.nn.images import image_decoder, image_encoder, image_head
from gen1shot.nn.sets import blank, masked_mean

Zs = tuple[jax.Array, ...]  # L arrays [K, T, D], z_L first


class VAE(nn.Module):
  """The variational autoencoder for objects of any shape.

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
  z_dim: int = 32  # of each stochastic layer
  layers: int = 2  # L

  def setup(self) -> None:
    check_positive(self, 'layers', 'width', 'features', 'hidden', 'z_dim')
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
    self.priors = [self._head() for _ in range(self.layers - 1)]
    self.posteriors = [self._head() for _ in range(self.layers)]

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
    """The terms of the ELBO on log p(x_1..x_T).

    Args:
      x: objects [T, *shape].
      mask: boolean [T], objects that count; None for all.

    Uses the random stream `sample`.
    """
    x = blank(x, mask)
    h = self.encoder(x)
    # sum_l KL(q(z_l | z_l+1, x) || p(z_l | z_l+1)), top layer first
    zs, kl_local = latents.sample_with_kl(
      self.posteriors, (h,), self._chain, (), self._key
    )
    # E log p(x | z_1..z_L)
    log_likelihood = self._log_likelihood(x, zs)
    return Bound(log_likelihood, kl_local, jnp.zeros(())).where(mask)

  def log_weights(
    self,
    x: jax.Array,
    num_samples: int,
    starts: jax.Array | None = None,
  ) -> jax.Array:
    """log importance weights of log p(x_t): [T, *shape] -> [K, T]."""
    h = self.encode(x, starts)
    zs = self.sample_posterior(h, num_samples)
    return self.log_p(x, h, zs) - self.log_q(h, zs)

  def joint_log_weights(self, x: jax.Array, num_samples: int) -> jax.Array:
    """The same: log p(x_1..x_T) has a factor for every object."""
    return self.log_weights(x, num_samples)

  def predict(
    self,
    support: jax.Array,
    num_samples: int,
    mask: jax.Array | None = None,
  ) -> jax.Array:
    """Means of new objects [S, *shape] from p(x), whatever the support."""
    del support, mask
    shape = (num_samples, self.z_dim)
    zs = latents.sample(self._chain, self._key, shape=shape)
    return self._likelihood(zs).mean

  def embed(
    self, support: jax.Array, mask: jax.Array | None = None
  ) -> DiagGaussian:
    """q(z_L | x), its parameters averaged over a set: [N, *shape] -> [D].

    N(0, I) for N = 0.
    """
    h = self.encoder(blank(support, mask))
    q = latents.layer(self.posteriors[0], h)
    return jax.tree.map(lambda leaf: masked_mean(leaf, mask)[0], q)

  # What bounds.dreg takes apart: log_weights = log_p - log_q at a sample.

  def encode(self, x: jax.Array, starts: jax.Array | None = None) -> jax.Array:
    """Features [T, F]; it makes no difference where sets start."""
    del starts
    return self.encoder(x)

  def sample_posterior(self, h: jax.Array, num_samples: int) -> Zs:
    """Draws z ~ q(z | x_t) for every t."""
    return latents.sample(self.posteriors, self._key, h, shape=(num_samples,))

  def log_p(self, x: jax.Array, h: jax.Array, zs: Zs) -> jax.Array:
    """log p(x_t | z) p(z): [K, T]."""
    del h
    return latents.log_prob(self._chain, zs) + self._log_likelihood(x, zs)

  def log_q(self, h: jax.Array, zs: Zs) -> jax.Array:
    """log q(z | x_t): [K, T]."""
    return latents.log_prob(self.posteriors, zs, h)

  # Pieces.

  def _key(self) -> jax.Array:
    return self.make_rng('sample')

  @property
  def _chain(self) -> latents.Chain:
    """p(z_L) = N(0, I), then p(z_l | z_l+1)."""
    return (None, *self.priors)

  def _likelihood(self, zs: Zs):
    """p(x | z_1..z_L); every layer has a skip connection to the decoder."""
    return self.likelihood.from_parameters(self.decoder(*zs))

  def _log_likelihood(self, x: jax.Array, zs: Zs) -> jax.Array:
    event = tuple(range(-len(self.observation_shape), 0))
    return self._likelihood(zs).log_prob(x).sum(event)
