"""How far two batches of vectors are from each other, as samples of two distributions.

Unlike the other losses it has one value for the two batches and none per example.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def moment_discrepancy(
    x: Float[Array, "m d"], y: Float[Array, "n d"]
) -> Float[Array, ""]:
    """The squared distance of means and of second moments, without bias.

    The maximum mean discrepancy of the kernel `k(u, v) = p + p^2`, `p` the product of
    `u` and `v` by `d`, where each number is taken from its mean and by its spread over
    both batches (these are held constant). Its mean over batches of one distribution is
    0, however small they are; a single value may be below.

    Args:
      x: at least two vectors.
      y: at least two vectors.

    Returns:
      Scalar, float32.

    Raises:
      ValueError: fewer than two vectors, or vectors of other lengths.

    Example:
      >>> x = jnp.array([[-1.0], [1.0]])
      >>> moment_discrepancy(x, x + 100.0).round(1).tolist()
      4.0

    Reference:
      Gretton et al. 2012, https://jmlr.org/papers/v13/gretton12a.html, equation 3.
    """
    if min(x.shape[0], y.shape[0]) < 2 or x.shape[1:] != y.shape[1:]:
        raise ValueError(
            "expected two batches of two or more vectors of one length, got"
            f" {x.shape} and {y.shape}"
        )
    count = x.shape[0]
    both = jnp.concatenate([x, y]).astype(jnp.float32)
    known = jax.lax.stop_gradient(both)
    mean, spread = (f(known, axis=0, keepdims=True) for f in (jnp.mean, jnp.std))
    z = (both - mean) / (spread + 1e-3)
    products = z @ z.T / z.shape[1]
    kernel = products + jnp.square(products)
    across = jnp.mean(kernel[:count, count:])
    same = _other_mean(kernel[:count, :count]) + _other_mean(kernel[count:, count:])
    return same - 2.0 * across


def _other_mean(kernel: Float[Array, "n n"]) -> Float[Array, ""]:
    """The mean over pairs of two different examples."""
    count = kernel.shape[0]
    return (jnp.sum(kernel) - jnp.trace(kernel)) / (count * (count - 1))
