"""Scalar targets: what about an output picture is to be explained.

A target maps pictures `b h w c` to one number each, `b`. It is data (a kind, a channel
and a box), so it has a name, can be written in a command line and compared. To explain
a network, put the target behind it: `parse_target("mean:red@8,8,16,16").of(translate)`
is a function of the *input*, ready for `integrated_gradients`.

Any other function from pictures to `b` numbers is as good a target; this module only
names the common ones.
"""

import dataclasses
import re
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from stylejax.checks import check_choice
from stylejax.explain.scalars import Scalar
from stylejax.image.color import luminance
from stylejax.typing import Image, PerExample

Box = tuple[int, int, int, int]
"""(x, y, w, h) in pixels, x to the right and y down from the upper left corner."""

CHANNELS = ("red", "green", "blue", "luminance")
"""Names of what is looked at in a picture; an index into the last axis works too."""


def _mean(plane: Float[Array, "b h w"]) -> PerExample:
    return plane.mean(axis=(1, 2))


def _energy(plane: Float[Array, "b h w"]) -> PerExample:
    if min(plane.shape[1:]) < 2:
        raise ValueError(
            "target 'energy': expected a box of at least 2 x 2 pixels, got"
            f" {plane.shape[2]} x {plane.shape[1]}; differences need two pixels"
        )
    down, right = jnp.diff(plane, axis=1), jnp.diff(plane, axis=2)
    return _mean(down**2) + _mean(right**2)


KINDS: dict[str, Callable[[Float[Array, "b h w"]], PerExample]] = {
    "mean": _mean,
    "energy": _energy,
}
"""From a kind's name to what it does with the chosen channel inside the chosen box."""

TARGET_GRAMMAR = f"{'|'.join(KINDS)}[:{'|'.join(CHANNELS)}][@x,y,w,h]"
"""What `parse_target` reads: the channel defaults to luminance, the box to all."""


@dataclasses.dataclass(frozen=True)
class Target(Scalar):
    """A number read off a picture: `kind` of `channel` inside `box`.

    Attributes:
      kind: `"mean"`, or `"energy"` (mean squared difference of neighbours, down plus
        right: how much detail there is).
      channel: a name in `CHANNELS`, or an index into the last axis.
      box: (x, y, w, h) in pixels; None is the whole picture.
    """

    kind: str = "mean"
    channel: str | int = "luminance"
    box: Box | None = None

    def __post_init__(self) -> None:
        """Refuses unknown names and boxes that no picture could hold."""
        check_choice(self.kind, choices=KINDS, name="target kind")
        if not isinstance(self.channel, int) or isinstance(self.channel, bool):
            check_choice(self.channel, choices=CHANNELS, name="target channel")
        elif self.channel < 0:
            raise ValueError(
                f"target channel: expected an index of at least 0, got {self.channel}"
            )
        if self.box is None:
            return
        box = tuple(self.box)
        whole = all(isinstance(v, int | np.integer) for v in box)
        if not whole or len(box) != 4 or min(box[:2]) < 0 or min(box[2:]) < 1:
            raise ValueError(
                "target box: expected x,y,w,h in whole pixels with x, y >= 0 and"
                f" w, h >= 1, got {','.join(map(str, box))}"
            )
        object.__setattr__(self, "box", tuple(int(v) for v in box))

    @property
    def name(self) -> str:
        """The target in the words that `parse_target` reads."""
        where = "" if self.box is None else "@" + ",".join(map(str, self.box))
        return f"{self.kind}:{self.channel}{where}"

    def __call__(self, images: Image) -> PerExample:
        """The target's value on each picture.

        Args:
          images: pictures `b h w c`; `c` is 3 where the channel is a name.

        Returns:
          One number per picture, in the picture's units (`energy`: squared).

        Raises:
          ValueError: no pictures, no such channel, or a box outside the picture.
        """
        if jnp.ndim(images) != 4:
            raise ValueError(
                f"target {self.name!r}: expected pictures of shape (b, h, w, c), got"
                f" {jnp.shape(images)}"
            )
        x, y, w, h = self._box_in(images.shape)
        return KINDS[self.kind](self._plane(images)[:, y : y + h, x : x + w])

    def _box_in(self, shape: tuple[int, ...]) -> Box:
        height, width = shape[1:3]
        if self.box is None:
            return 0, 0, width, height
        x, y, w, h = self.box
        if x + w > width or y + h > height:
            raise ValueError(
                f"target {self.name!r}: expected a box inside the picture, {width} wide"
                f" and {height} high, got one that reaches x={x + w}, y={y + h};"
                " choose x + w and y + h within it"
            )
        return self.box

    def _plane(self, images: Image) -> Float[Array, "b h w"]:
        if self.channel == "luminance":
            return luminance(images)
        channels = images.shape[-1]
        if isinstance(self.channel, int):
            if self.channel >= channels:
                raise ValueError(
                    f"target {self.name!r}: expected a channel below {channels}, got"
                    f" {self.channel}"
                )
            return images[..., self.channel]
        if channels != 3:
            raise ValueError(
                f"target {self.name!r}: expected RGB pictures for a colour name, got"
                f" {channels} channels; give the channel's index instead"
            )
        return images[..., CHANNELS.index(self.channel)]


def region_mean(channel: str | int, *, box: Box | None = None) -> Target:
    """The target "mean of a channel inside a box".

    Args:
      channel: a name in `CHANNELS`, or an index into the last axis.
      box: (x, y, w, h) in pixels; None is the whole picture.

    Returns:
      A `Target`: a function from pictures `b h w c` to one number each.

    Raises:
      ValueError: unknown channel or impossible box.

    Example:
      >>> region_mean("red", box=(0, 0, 1, 2))(jnp.ones((1, 4, 4, 3))).tolist()
      [1.0]
    """
    return Target(kind="mean", channel=channel, box=box)


def region_energy(channel: str | int, *, box: Box | None = None) -> Target:
    """The target "gradient energy of a channel inside a box": how much detail it has.

    Args:
      channel: a name in `CHANNELS`, or an index into the last axis.
      box: (x, y, w, h) in pixels, at least 2 x 2; None is the whole picture.

    Returns:
      A `Target`: a function from pictures `b h w c` to one number each.

    Raises:
      ValueError: unknown channel or impossible box.

    Example:
      >>> region_energy("red")(jnp.ones((1, 4, 4, 3))).tolist()
      [0.0]
    """
    return Target(kind="energy", channel=channel, box=box)


def parse_target(text: str) -> Target:
    """The target that a line of text names, such as `mean:red@8,8,16,16`.

    Args:
      text: `kind:channel@x,y,w,h`; without a channel it is the luminance, without a
        box the whole picture. `TARGET_GRAMMAR` says it in one line.

    Returns:
      A `Target`, whose `name` is the text in full.

    Raises:
      ValueError: unknown kind or channel (the message lists what exists), or a box
        that is not four whole numbers.

    Example:
      >>> parse_target("mean:red@8,8,16,16")
      Target(kind='mean', channel='red', box=(8, 8, 16, 16))
    """
    matched = re.fullmatch(r"([^:@]*)(?::([^@]*))?(?:@(.*))?", text.strip())
    if matched is None:
        raise ValueError(f"target: expected {TARGET_GRAMMAR}, got {text!r}")
    kind, channel, box = matched.groups()
    if channel is None:
        channel = "luminance"
    elif channel.isdecimal():
        channel = int(channel)
    if box is not None:
        numbers = [part.strip() for part in box.split(",")]
        if len(numbers) != 4 or not all(part.isdecimal() for part in numbers):
            raise ValueError(
                "target box: expected four whole numbers x,y,w,h after '@', got"
                f" {box!r} in {text!r}"
            )
        box = tuple(map(int, numbers))
    return Target(kind=kind, channel=channel, box=box)
