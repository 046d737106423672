"""What a training carries from step to step.

Everything that decides the next step is here or derived from the step number; no
random key is stored.
"""

from typing import TYPE_CHECKING, Any

import flax.struct
import jax

from stylejax.train.image_pool import ImagePool


@flax.struct.dataclass
class CycleGANState:
    """Parameters, optimiser states, pools, moving average and counters.

    Attributes:
      step: int32, steps taken, skipped ones included.
      generator_params: {"AtoB": params, "BtoA": params}.
      discriminator_params: {"A": params, "B": params}; "B" judges real_b against
        generated pictures of domain B.
      generator_opt_state: one optimiser over both generators.
      discriminator_opt_state: one optimiser over both discriminators.
      pool_a: generated pictures of domain A in [-1, 1].
      pool_b: generated pictures of domain B in [-1, 1].
      ema_params: moving average of `generator_params`; {} when it is off.
      skipped_in_a_row: int32, non-finite steps since the last good one.
      skipped_total: int32, non-finite steps of the whole run.
    """

    step: jax.Array
    generator_params: Any
    discriminator_params: Any
    generator_opt_state: Any
    discriminator_opt_state: Any
    pool_a: ImagePool
    pool_b: ImagePool
    ema_params: Any
    skipped_in_a_row: jax.Array
    skipped_total: jax.Array


@flax.struct.dataclass
class StylizerState:
    """What a stylising network carries: one optimiser, no adversary.

    Attributes:
      step: int32, steps taken, skipped ones included.
      params: what is trained.
      fixed: arrays that belong to the network and are not trained, such as the scales
        of the feature maps it sees; {} where there are none.
      opt_state: of the optimiser of `params`.
      ema_params: moving average of `params`; {} when it is off.
      skipped_in_a_row: int32, non-finite steps since the last good one.
      skipped_total: int32, non-finite steps of the whole run.
    """

    step: jax.Array
    params: Any
    fixed: Any
    opt_state: Any
    ema_params: Any
    skipped_in_a_row: jax.Array
    skipped_total: jax.Array

    if TYPE_CHECKING:  # what flax adds

        def replace(self, **changes: Any) -> "StylizerState": ...
