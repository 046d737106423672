"""What several losses build on, because its gradient needs care."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def absolute(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """The absolute value, whose gradient is the sign: 0 at 0.

    `jnp.abs` has the gradient +1 at 0 (jax 0.10.2, 2026-11), which pulls at flat
    regions and differs from PyTorch.

    Args:
      x: any shape.

    Returns:
      Same shape and dtype.

    Example:
      >>> jax.vmap(jax.grad(absolute))(jnp.float32([-2.0, 0.0, 3.0])).tolist()
      [-1.0, 0.0, 1.0]
    """
    return x * jax.lax.stop_gradient(jnp.sign(x))


def input_gradient(
    logits_fn: Callable[[Array], Float[Array, "b ..."]],
    images: Float[Array, "b h w c"],
) -> Float[Array, "b h w c"]:
    """The gradient of each example's mean logit with respect to that example.

    Args:
      logits_fn: images (b h w c) to logits (b, ...); an example's logits may depend on
        that example alone, since one backward pass serves the whole batch.
      images: (b, h, w, c), in whatever range `logits_fn` takes.

    Returns:
      (b, h, w, c), float32.

    Example:
      >>> input_gradient(lambda x: x[:, 0, 0, 0], jnp.ones((2, 4, 4, 3)))[0, 0, 0, 0]
      Array(1., dtype=float32)
    """

    def sum_of_means(x: Float[Array, "b h w c"]) -> Float[Array, ""]:
        logits = logits_fn(x).astype(jnp.float32)
        return jnp.sum(logits) / (logits.size // logits.shape[0])

    return jax.grad(sum_of_means)(images).astype(jnp.float32)
