"""Trained stylising networks for people: load one, paint with it, save it."""

import dataclasses
import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from stylejax import api, trees
from stylejax.methods import FIXED, LEARNED
from stylejax.methods.control import StyleControl
from stylejax.pretrained import registry, safetensors_io
from stylejax.train import checkpoint
from stylejax.typing import Image, Params

FORMAT = api.STYLIZER_FORMAT
PAINTERS: dict[str, Any] = LEARNED | FIXED


@dataclasses.dataclass(frozen=True, eq=False)
class Stylizer:
    """A trained network that paints in any style it is shown, or in those it knows.

    Attributes:
        method: a key of `PAINTERS`.
        config: the method's configuration; with it the network can be rebuilt.
        params: what `method.painting_params` gave.
        card: the model card, "" where there is none.
    """

    method: str
    config: Any
    params: Params
    card: str = ""

    def stylize(
        self,
        content: Image,
        styles: Sequence[Any],
        *,
        control: StyleControl | None = None,
        fusion: str = "",
    ) -> Image:
        """The content painted in the styles.

        Args:
            content: `b h w 3` in [0, 1], any size.
            styles: pictures `1 h w 3` in [0, 1], of any sizes; names of styles where
                the network knows a list of them.
            control: strength, mixture, regions, colours, strokes, what to keep.
            fusion: "adain" or "wct"; "" takes the configuration's.

        Returns:
            `b h w 3`, float32 in [0, 1].

        Raises:
            ValueError: no such pictures, fusion, or a control that cannot be obeyed.
        """
        config = self.config
        if fusion and not hasattr(config, "fusion"):
            raise ValueError(
                f"fusion: {self.method} has its own, got {fusion!r}; leave it out"
            )
        if fusion:
            config = dataclasses.replace(config, fusion=fusion)
        return PAINTERS[self.method].stylize(
            self.params, content, styles, config=config, control=control
        )

    def save(self, path: str | os.PathLike, *, dtype: str = "float16") -> Path:
        """The path of the .safetensors file just written; `load` takes it.

        Args:
            path: where to.
            dtype: "float16" or "float32".

        Returns:
            The path.

        Raises:
            ValueError: another suffix, an unknown dtype, values it cannot hold.
        """
        metadata = {
            "format": FORMAT,
            "method": self.method,
            "config": dataclasses.asdict(self.config),
        }
        return safetensors_io.save_params(
            path, self.params, metadata=metadata, dtype=dtype
        )


def load(name_or_path: str | os.PathLike, *, step: int | str | None = None) -> Stylizer:
    """A trained stylising network.

    Args:
        name_or_path: a shipped name ("slim", "adain"), a .safetensors file, or the
            working directory of a training.
        step: of a training: a number, "best", None for the newest.

    Returns:
        A `Stylizer`; of a training with its moving average, where there is one.

    Raises:
        FileNotFoundError: there is no such file or training.
        ValueError: no such name, or a file that holds something else.
    """
    text = os.fspath(name_or_path)
    path = Path(text).expanduser()
    if text not in registry.names() and path.is_dir():
        return _load_training(path, step)
    if path.suffix != ".safetensors":
        path = registry.find(text)
    return _load_file(path)


@functools.lru_cache(maxsize=4)
def load_shipped(name: str) -> Stylizer:
    """A network that ships, read once.

    Args:
        name: as `stylejax.pretrained.registry.names` has it.

    Returns:
        A `Stylizer`.

    Raises:
        ValueError: nothing of this name ships, or it is no stylising network.
    """
    return _load_file(registry.find(name))


def _load_file(path: Path) -> Stylizer:
    params, metadata = safetensors_io.load_params(path)
    if metadata.get("format") != FORMAT:
        raise ValueError(
            f"expected a file of format {FORMAT}, got {metadata.get('format')!r} in"
            f" {str(path)!r}; give a file that Stylizer.save wrote"
        )
    return _stylizer(
        metadata["method"],
        metadata["config"],
        params,
        source=str(path),
        card=registry.card(path),
    )


def _load_training(path: Path, step: int | str | None) -> Stylizer:
    saved = checkpoint.read_config(path, step=step)
    method = saved.get("method", "")
    if method not in PAINTERS:
        raise ValueError(
            f"expected a training of {', '.join(PAINTERS)} in {str(path)!r}, got one"
            f" of {method!r}; use stylejax.load for translators"
        )
    found = checkpoint.restore_params(
        path, step=step, names=("params", "ema_params", "fixed")
    )
    config = _config(method, saved["config"])
    state = _first_state(method, config)
    state = state.replace(**{name: found.get(name) or {} for name in found})
    params = PAINTERS[method].painting_params(state)
    return _stylizer(method, saved["config"], params, source=str(path))


def _config(method: str, values: Mapping) -> Any:
    # What was a tuple is a list in JSON.
    known = {n: tuple(v) if isinstance(v, list) else v for n, v in values.items()}
    return api.config_from_dict(type(PAINTERS[method].DEFAULT_CONFIG), known)


def _first_state(method: str, config: Any) -> Any:
    """Shapes and dtypes of a training's state; nothing is computed."""
    init = functools.partial(PAINTERS[method].init, config=config)
    return jax.eval_shape(init, jax.eval_shape(lambda: jax.random.key(0)))


def _stylizer(
    method: str, values: Mapping, params: Params, *, source: str, card: str = ""
) -> Stylizer:
    config = _config(method, values)
    expected = PAINTERS[method].painting_params(_first_state(method, config))
    difference = trees.difference(expected, params)
    if difference:
        summary = "; ".join(difference.splitlines()[:3])
        raise ValueError(f"the parameters in {source!r} do not fit: {summary}")
    return Stylizer(method, config, jax.device_put(params), card)
