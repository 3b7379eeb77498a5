"""One-shot and few-shot generative models in JAX and Flax."""

__version__ = '0.1.0'
