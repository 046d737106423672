"""What wires the rooms together for people: load a model, translate, train one.

The package re-exports these names lazily: `stylejax.load`, `stylejax.fit`.
"""

import dataclasses
import functools
import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from stylejax import checks, trees
from stylejax.methods import METHODS
from stylejax.pretrained import registry, safetensors_io
from stylejax.train import checkpoint
from stylejax.typing import Image, Params

FORMAT = "stylejax-translator-1"
STYLIZER_FORMAT = "stylejax-stylizer-1"


@dataclasses.dataclass(frozen=True, eq=False)
class Translator:
    """A trained model: parameters, what they mean, and what is known about them.

    Attributes:
        method: name of the method, a key of `stylejax.methods.METHODS`.
        config: the method's configuration; with it the network can be rebuilt.
        params: what the method's `generator_params` gives: of a CycleGAN one tree of
            parameters per direction.
        card: the model card, "" where there is none.
    """

    method: str
    config: Any
    params: Params
    card: str = ""

    @property
    def directions(self) -> tuple[str, ...]:
        """The directions it translates in."""
        return METHODS[self.method].DIRECTIONS

    def translate(
        self, images: Image | np.ndarray, *, direction: str = "AtoB"
    ) -> Image:
        """The pictures in the other domain, at their own size.

        A pure, jitted function of the pictures: it can be differentiated, vmapped and
        called inside other jitted functions. Each new size is compiled once.

        Args:
            images: `b h w 3` in [0, 1], any size.
            direction: "AtoB" or "BtoA".

        Returns:
            `b h w 3` in [0, 1].

        Raises:
            ValueError: no such pictures, or an unknown direction.
        """
        checks.check_choice(direction, choices=self.directions, name="direction")
        checks.check_image(images, name="images")
        predict = _jitted_predict(self.method)
        return predict(self.params, images, config=self.config, direction=direction)

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


def load(
    name_or_path: str | os.PathLike,
    *,
    step: int | str | None = None,
    use_ema: bool | None = None,
) -> Translator:
    """A trained model, ready to translate.

    Args:
        name_or_path: a shipped checkpoint's name ("emoji"), a .safetensors file, or the
            working directory of a training (or a checkpoint in it).
        step: of a training, the step to take: a number, "best", None for the newest.
        use_ema: of a training, whether to take the moving average of the parameters;
            None takes it where there is one.

    Returns:
        A `Translator`.

    Raises:
        FileNotFoundError: there is neither a file nor a checkpoint.
        ValueError: no such name, or a file that holds something else.
    """
    text = os.fspath(name_or_path)
    if text in registry.names():
        return _load_file(registry.find(text))
    path = Path(text).expanduser()
    if path.is_dir():
        return _load_training(path, step, use_ema)
    if path.suffix == ".safetensors":
        return _load_file(path)
    known = ", ".join(registry.names()) or "none yet"
    raise FileNotFoundError(
        "expected a .safetensors file, the folder of a training or a shipped name"
        f" ({known}), got {text!r}; check the path"
    )


def config_from_dict(config_type: Callable[..., Any], values: Mapping[str, Any]) -> Any:
    """The configuration that was written beside a checkpoint.

    Args:
        config_type: a method's dataclass.
        values: what `dataclasses.asdict` gave, possibly by an older version: fields
            that are missing keep their defaults.

    Returns:
        An instance.

    Raises:
        ValueError: a field this version does not know.
    """
    known = {field.name for field in dataclasses.fields(config_type)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(
            f"expected a config this version knows, got the unknown {unknown[0]!r};"
            " use the version of stylejax that wrote it"
        )
    return config_type(**values)


def config_type(method: str) -> Callable[..., Any]:
    """The dataclass that configures a method.

    Args:
        method: a key of `stylejax.methods.METHODS`.

    Returns:
        The type its `predict` takes as `config`.

    Raises:
        ValueError: no such method.
    """
    checks.check_choice(method, choices=METHODS, name="method")
    annotation = inspect.signature(METHODS[method].predict).parameters["config"]
    return annotation.annotation


@functools.cache
def _jitted_predict(method: str) -> Callable[..., jax.Array]:
    return jax.jit(METHODS[method].predict, static_argnames=("config", "direction"))


def _load_file(path: Path) -> Translator:
    params, metadata = safetensors_io.load_params(path)
    if metadata.get("format") == STYLIZER_FORMAT:
        raise ValueError(
            f"{str(path)!r} paints and does not translate; load it with"
            " stylejax.stylizers.load, or name it in stylejax.stylize"
        )
    if metadata.get("format") != FORMAT:
        raise ValueError(
            f"expected a file of format {FORMAT}, got {metadata.get('format')!r} in"
            f" {str(path)!r}; give a file that Translator.save wrote"
        )
    return _translator(
        metadata["method"],
        metadata["config"],
        params,
        source=str(path),
        card=registry.card(path),
    )


def _load_training(path: Path, step: int | str | None, use_ema: bool | None):
    saved = checkpoint.read_config(path, step=step)
    names = ("generator_params", "params", "ema_params")
    found = checkpoint.restore_params(path, step=step, names=names)
    average = found.get("ema_params") or {}
    raw = found.get("generator_params") or found.get("params") or {}
    if use_ema and not average:
        raise ValueError(f"expected a moving average in {str(path)!r}, found none")
    is_average = bool(average) if use_ema is None else use_ema
    chosen = average if is_average else raw
    method, values = saved.get("method", "cyclegan"), saved.get("config", saved)
    # What only trains, such as a critic, is left behind.
    expected = _expected_params(method, config_from_dict(config_type(method), values))
    kept = {name: leaf for name, leaf in chosen.items() if name in expected}
    return _translator(method, values, kept, source=str(path))


def _translator(
    method: str, values: Mapping, params: Params, *, source: str, card: str = ""
) -> Translator:
    config = config_from_dict(config_type(method), values)
    difference = trees.difference(_expected_params(method, config), params)
    if difference:
        summary = "; ".join(difference.splitlines()[:3])
        raise ValueError(f"the parameters in {source!r} do not fit: {summary}")
    return Translator(method, config, jax.device_put(params), card)


def _expected_params(method: str, config: Any) -> Params:
    """Shapes and dtypes of the parameters `config` asks for; nothing is computed."""
    module = METHODS[method]
    state = jax.eval_shape(functools.partial(module.init, config=config), _key_shape())
    return module.generator_params(state, use_ema=False)


def _key_shape() -> Any:
    return jax.eval_shape(lambda: jax.random.key(0))
