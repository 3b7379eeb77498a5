"""A neural language model with a latent text (slides of Bartunov & Vetrov).

    h_1 = init(z),  h_t+1 = state(h_t, x_t, z)
    p(x_t | x_<t, z) = softmax f(h_t)
    p(x_1..x_T) = ∫ N(z; 0, I) prod_t p(x_t | x_<t, z) dz

A variational autoencoder of sentences, as of Bowman et al. 2016. Shapes: T
words, V of the vocabulary, K importance samples, D the size of z, H that of the
state. One document a call; `jax.vmap` adds the batch.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from gen1shot.bounds import Bound
from gen1shot.distributions import DiagGaussian, kl
from gen1shot.errors import InputError, check_choice, check_positive
from gen1shot.nn import sequences
from gen1shot.nn.dense import join
from gen1shot.nn.recurrent import GRU, LSTM
from gen1shot.nn.rows import Dense
from gen1shot.nn.sequences import counted

CELLS = {'gru': GRU, 'lstm': LSTM}
State = Any  # of a cell, leaves [..., H]


class NeuralLM(nn.Module):
  """The latent neural language model for words of a vocabulary.

  Raises (when it is first used):
    InputError: a field has no meaning.
  """

  observation_shape: tuple[int, ...]  # (V,)
  cell: str = 'gru'  # gru or lstm
  hidden: int = 256  # H, of the generative state
  encoder_hidden: int = 128  # and of the state that q reads with
  embedding: int = 128  # size of a word, going in and coming out
  z_dim: int = 16  # D
  dropout: float = 0.3  # bound(): of what goes into and comes out of states

  def setup(self) -> None:
    check_choice('cell', self.cell, CELLS)
    check_positive(self, 'hidden', 'encoder_hidden', 'embedding', 'z_dim')
    if not 0 <= self.dropout < 1:
      raise InputError(f'dropout must be in [0, 1); got {self.dropout}')
    (V,) = self.observation_shape
    self.words = nn.Embed(V, self.embedding)
    self.reader = CELLS[self.cell](self.encoder_hidden)
    self.posterior = Dense(2 * self.z_dim)
    self.writer = CELLS[self.cell](self.hidden)
    self.start = Dense(self.hidden)
    # The words that come out are the words that went in (Press & Wolf 2017).
    self.said = Dense(self.embedding)
    self.frequency = self.param('frequency', nn.initializers.zeros, (V,))

  # The four questions.

  def bound(self, x: jax.Array, mask: jax.Array | None = None) -> Bound:
    """The terms of the ELBO on log p(x_1..x_T).

    Args:
      x: words [T].
      mask: boolean [T], words that count; None for all.

    Uses the random stream `sample`; given a stream `dropout`, drops out.
    """
    embedded = self.words(x)
    q = self._whole(embedded, mask)
    # KL(q(z | x) || N(0, I))
    kl_context = kl(q, self._prior()).sum(-1)
    # E log p(x_t | x_<t, z)
    z = q.sample(self.make_rng('sample'))
    h = self._drop(self._states(z, self._drop(embedded), mask))
    log_likelihood = self._log_prob(h, x)
    return Bound(log_likelihood, jnp.zeros(len(x)), kl_context).where(mask)

  def log_weights(
    self, x: jax.Array, num_samples: int, mask: jax.Array | None = None
  ) -> jax.Array:
    """log importance weights of log p(x_t | x_<t), every prefix in one pass.

    p(x_t | x_<t) is defined as ∫ q(z | x_<t) p(x_t | x_<t, z) dz, with p(z) for
    the empty prefix. Every prefix has draws of its own, which the states read
    from its first word on: T times the work of one text.

    Args:
      x: words [T].
      num_samples: K.
      mask: boolean [T], words that count; None for all.

    Returns:
      [K, T]; 0 for words that do not count.
    """
    embedded = self.words(x)
    last, kept = self._read(embedded, mask)
    # q(z | x_<t) for t = 1..T, then q(z | x_<=T)
    all_q = self._q(
      jnp.concatenate([kept, last[None]]), self._seen_before(x, mask)
    )
    before = jax.tree.map(lambda leaf: leaf[:-1], all_q)
    upto = jax.tree.map(lambda leaf: leaf[1:], all_q)
    z = upto.sample(self.make_rng('sample'), (num_samples,))  # [K, T, D]
    h = self._states(z, embedded, mask, diagonal=True)  # [T, K, H]
    log_p = self._log_prob(h.swapaxes(0, 1), x)
    ratio = (before.log_prob(z) - upto.log_prob(z)).sum(-1)
    return counted(log_p + ratio, mask)

  def joint_log_weights(
    self, x: jax.Array, num_samples: int, mask: jax.Array | None = None
  ) -> jax.Array:
    """log importance weights of log p(x_1..x_T): words [T] -> [K, 1]."""
    embedded = self.words(x)
    q = self._whole(embedded, mask)
    z = q.sample(self.make_rng('sample'), (num_samples,))
    h = self._states(z, embedded, mask)  # [T, K, H]
    log_p = counted(self._log_prob(h.swapaxes(0, 1), x), mask).sum(-1)
    ratio = (self._prior().log_prob(z) - q.log_prob(z)).sum(-1)
    return (log_p + ratio)[:, None]

  def predict(
    self,
    support: jax.Array,
    num_samples: int,
    mask: jax.Array | None = None,
  ) -> jax.Array:
    """Probabilities [S, V] of the word after the support, for S draws of z.

    Args:
      support: words [N]; N = 0, or a mask of False, means unconditional.
      num_samples: S.
      mask: boolean [N] or None.
    """
    _, state = self._take_up(support, num_samples, mask)
    return jax.nn.softmax(self._logits(self._output(state)))

  def embed(
    self, support: jax.Array, mask: jax.Array | None = None
  ) -> DiagGaussian:
    """q(z | x_1..x_N), and p(z) for N = 0: words [N] -> [D]."""
    return self._whole(self.words(support), mask)

  def compose(
    self,
    support: jax.Array,
    num_samples: int,
    mask: jax.Array | None = None,
  ) -> jax.Array:
    """Goes on from the support, for as many words again: int32 [S, T]."""
    z, state = self._take_up(support, num_samples, mask)
    keys = jax.random.split(self.make_rng('sample'), len(support))
    return self._go_on(z, state, keys, jax.random.categorical)

  def decode(self, z: jax.Array, length: int) -> jax.Array:
    """The likeliest word, one after another: z [S, D] -> int32 [S, length]."""

    def likeliest(_, logits):
      return logits.argmax(-1)

    return self._go_on(z, self._begin(z), jnp.zeros(length), likeliest)

  # Pieces.

  def _prior(self) -> DiagGaussian:
    return DiagGaussian.standard((self.z_dim,))

  def _drop(self, x: jax.Array) -> jax.Array:
    if not self.dropout or not self.has_rng('dropout'):
      return x
    kept = jax.random.bernoulli(
      self.make_rng('dropout'), 1 - self.dropout, x.shape
    )
    return jnp.where(kept, x / (1 - self.dropout), 0.0)

  def _read(
    self, embedded: jax.Array, mask: jax.Array | None
  ) -> tuple[jax.Array, jax.Array]:
    """What q reads: outputs after all words [H], before each one [T, H]."""
    nothing = _zeros(self.reader, self.encoder_hidden)
    last, kept = sequences.states(
      self.reader, nothing, embedded, mask, lambda state, t: self._output(state)
    )
    return self._output(last), kept

  def _q(self, read: jax.Array, seen: jax.Array) -> DiagGaussian:
    """q(z | words) from outputs [..., H]; p(z) where no word was seen [...]."""
    parameters = self.posterior(read)
    return DiagGaussian.from_parameters(
      jnp.where(seen[..., None], parameters, 0.0)
    )

  def _whole(self, embedded: jax.Array, mask: jax.Array | None) -> DiagGaussian:
    """q(z | all words that count)."""
    last, _ = self._read(embedded, mask)
    T = len(embedded)
    seen = jnp.ones(T, bool) if mask is None else mask
    return self._q(last, seen.any())

  def _seen_before(self, x: jax.Array, mask: jax.Array | None) -> jax.Array:
    """Whether a word was seen before t = 1..T+1: boolean [T + 1]."""
    seen = jnp.ones(len(x), bool) if mask is None else mask
    return jnp.pad(jnp.cumsum(seen) > 0, (1, 0))

  def _begin(self, z: jax.Array) -> State:
    """h_1 = init(z): [..., D] -> leaves [..., H]."""
    first = nn.tanh(self.start(z))
    zeros = _zeros(self.writer, self.hidden)
    return jax.tree.map(lambda _: first, zeros)

  def _states(
    self,
    z: jax.Array,
    embedded: jax.Array,
    mask: jax.Array | None,
    diagonal: bool = False,
  ) -> jax.Array:
    """h_1..h_T given z [..., D]: [T, ..., H].

    With `diagonal` z is [..., T, D], a text of its own for each t, of which h_t
    is kept: [T, ..., H].
    """

    def emit(state: State, t: jax.Array) -> jax.Array:
      h = self._output(state)
      return h[..., t, :] if diagonal else h

    return self._run(z, self._begin(z), embedded, mask, emit)[1]

  def _run(self, z, state, embedded, mask, emit):
    lead = (slice(None), *[None] * (z.ndim - 1))
    inputs = join(embedded[lead], z)
    return sequences.states(self.writer, state, inputs, mask, emit)

  def _take_up(
    self, support: jax.Array, num_samples: int, mask: jax.Array | None
  ) -> tuple[jax.Array, State]:
    """z ~ q(z | support) [S, D], and the state after the support."""
    embedded = self.words(support)
    q = self._whole(embedded, mask)
    z = q.sample(self.make_rng('sample'), (num_samples,))
    state, _ = self._run(z, self._begin(z), embedded, mask, lambda *_: None)
    return z, state

  def _go_on(self, z: jax.Array, state: State, keys: jax.Array, choose):
    """Words [S, T] from a state on; `choose(key, logits)` picks each."""

    def step(self, state, key):
      word = choose(key, self._logits(self._output(state)))
      state, _ = self.writer(state, join(self.words(word), z))
      return state, word

    scan = nn.scan(
      step, variable_broadcast='params', split_rngs={'params': False}
    )
    return scan(self, state, keys)[1].T

  def _output(self, state: State) -> jax.Array:
    """h [..., H] of a state; the last part of an LSTM's."""
    return jax.tree.leaves(state)[-1]

  def _logits(self, h: jax.Array) -> jax.Array:
    """f(h): [..., H] -> [..., V]."""
    return self.words.attend(self.said(h)) + self.frequency

  def _log_prob(self, h: jax.Array, x: jax.Array) -> jax.Array:
    """log p(x_t | h_t): [..., T, H] and words [T] -> [..., T]."""
    logits = self._logits(h)
    said = jnp.take_along_axis(
      logits, jnp.broadcast_to(x, logits.shape[:-1])[..., None], axis=-1
    )
    return said[..., 0] - jax.nn.logsumexp(logits, axis=-1)


def _zeros(cell: nn.Module, size: int) -> State:
  """The state of a cell that has read nothing."""
  nothing = jnp.zeros(size)
  return (nothing, nothing) if isinstance(cell, LSTM) else nothing
