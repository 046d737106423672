"""Which positions of which activations a patch covers, as one mask per patch.

Masks of several layers stand side by side: patch `i` of all layers together is one
intervention, and a layer that it leaves alone has a mask of False there. So patches of
layers of different shape are one batch.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool

from stylejax.image.regions import Labels

Shapes = Mapping[str, tuple[int, ...]]
"""From the name of a layer to the shape of its activation."""

Masks = dict[str, Bool[np.ndarray, "n ..."]]
"""For each layer `n` masks, one per patch, that broadcast to its activation."""


def layer_masks(shapes: Shapes) -> Masks:
    """One patch for each layer: all of it, and nothing of the others.

    Args:
      shapes: of the layers' activations, `l` of them.

    Returns:
      For each layer `l` masks.

    Example:
      >>> masks = layer_masks({"a": (1, 4), "b": (1, 2)})
      >>> masks["b"].tolist()
      [[[False]], [[True]]]
    """
    one_each = np.eye(len(shapes), dtype=bool)
    return {
        name: one_each[index].reshape(-1, *[1] * len(shape))
        for index, (name, shape) in enumerate(shapes.items())
    }


def channel_masks(shape: tuple[int, ...]) -> Bool[np.ndarray, "u ..."]:
    """One patch for each channel of an activation.

    Args:
      shape: of the activation, `u` channels last.

    Returns:
      `u` masks that broadcast to it.

    Example:
      >>> channel_masks((1, 8, 8, 2)).shape
      (2, 1, 1, 1, 2)
    """
    masks = np.eye(shape[-1], dtype=bool)
    return masks.reshape(-1, *[1] * (len(shape) - 1), shape[-1])


def region_patches(shapes: Shapes, labels: Labels, *, num_regions: int) -> Masks:
    """One patch for each region of each layer, the layers one after the other.

    Args:
      shapes: of the layers' activations `b h' w' c'`, `l` of them.
      labels: `h w` whole numbers from 0; others are in no patch. They are resized to
        each activation by `nearest_labels`.
      num_regions: `k`.

    Returns:
      For each layer `l k` masks; one without a True has no position left at its layer.

    Raises:
      ValueError: a layer that is no map.
    """
    masks = {}
    for index, (name, shape) in enumerate(shapes.items()):
        if len(shape) != 4:
            raise ValueError(
                f"layer {name!r}: expected a map (b, h, w, c), got shape {shape}"
            )
        near = nearest_labels(np.asarray(labels), size_hw=shape[1:3])
        mask = np.zeros((len(shapes), num_regions, 1, *near.shape, 1), bool)
        regions = near[None] == np.arange(num_regions)[:, None, None]
        mask[index, :, 0, :, :, 0] = regions
        masks[name] = mask.reshape(-1, *mask.shape[2:])
    return masks


def nearest_labels(labels: np.ndarray, *, size_hw: tuple[int, ...]) -> np.ndarray:
    """Labels at another size: each position takes the label at its centre.

    Args:
      labels: `h w` whole numbers.
      size_hw: new height and width.

    Returns:
      `h' w'` of the same dtype.

    Example:
      >>> nearest_labels(np.array([[0, 0, 0, 1]]), size_hw=(1, 2)).tolist()
      [[0, 1]]
    """
    at = [
        (2 * np.arange(new) + 1) * old // (2 * new)
        for new, old in zip(size_hw, labels.shape, strict=True)
    ]
    return labels[np.ix_(*at)]
