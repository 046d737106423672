"""Names for the arrays that travel through the house.

Shape letters mean one thing everywhere: `b` pictures in a batch, `h` `w` height and
width in pixels, `c` channels, `n` positions, `k` styles, `d` latent width. The range
of a picture is part of its name: `Image` is in [0, 1], `SignedImage` in [-1, 1].
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
from jaxtyping import Array, Float, PRNGKeyArray

Image = Float[Array, "b h w c"]
"""RGB pictures, float32 in [0, 1]."""

SignedImage = Float[Array, "b h w c"]
"""RGB pictures, float32 in [-1, 1]: inside generators and discriminators only."""

PerExample = Float[Array, " b"]
"""One number for each picture of a batch."""

Key = PRNGKeyArray
Params = Mapping[str, Any]
Metrics = dict[str, jax.Array]
Features = Mapping[str, jax.Array]

ImageFn = Callable[[jax.Array], jax.Array]
"""Pictures in, pictures out."""

ScalarFn = Callable[[jax.Array], jax.Array]
"""Pictures `b h w c` in, one number per picture out."""
