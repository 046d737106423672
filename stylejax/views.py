"""What is looked at during a training: pictures drawn and scored now and then."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stylejax.data import sources
from stylejax.data.pipeline import TrainIterator, evaluation_batches
from stylejax.image import panel
from stylejax.methods import FIXED, LEARNED
from stylejax.metrics import style
from stylejax.train import loop
from stylejax.train.evaluate import Evaluator, make_evaluator
from stylejax.train.features import open_vgg

_SHOWN = 8


def make(
    method: str,
    module: Any,
    config: Any,
    data: sources.TwoDomainDataset,
    iterator: TrainIterator,
    loop_config: loop.LoopConfig,
) -> Any:
    """The viewer of a training.

    Args:
        method: a key of `stylejax.methods.TRAINED`.
        module: of the method.
        config: of the method.
        data: what is trained on, and the tests.
        iterator: gives training pictures where there are no tests.
        loop_config: whether and how to evaluate.

    Returns:
        An object with `evaluate(state)`, `draw(state)`, `evaluates` and `evaluator`
        (None where no protocol belongs to the scores).
    """
    kind: Any = StyleViewer if method in LEARNED else TranslationViewer
    if method in FIXED:
        kind = FixedStyleViewer
    return kind(module, config, data, iterator, loop_config)


@functools.cache
def _jitted_views(module: Any) -> tuple[Callable, Callable]:
    predict = jax.jit(module.predict, static_argnames=("config", "direction"))
    return predict, jax.jit(module.sample, static_argnames="config")


def sample_grid(pictures: Mapping[str, np.ndarray], *, scale: int = 1) -> np.ndarray:
    """One picture of what a translation GAN does: a row per example, both directions.

    Args:
        pictures: a, fake_b, cycled_a, identity_a and the same with a and b exchanged,
            each `n h w 3` in [0, 1].
        scale: of the pixels.

    Returns:
        `h w 3` in [0, 1].
    """
    columns = [
        (title, pictures[name])
        for side, other in ("ab", "ba")
        for title, name in (
            (f"real {side.upper()}", side),
            (f"fake {other.upper()}", f"fake_{other}"),
            ("cycled", f"cycled_{side}"),
            ("identity", f"identity_{side}"),
        )
    ]
    titles, images = zip(*columns, strict=True)
    rows = list(zip(*images, strict=True))
    return panel.grid(rows, column_titles=titles, scale=scale)


class TranslationViewer:
    """What is looked at during a training: test pictures, scored and drawn.

    Parameters are taken to one device first, so that no process waits for another.
    """

    def __init__(
        self,
        module: Any,
        config: Any,
        data: sources.TwoDomainDataset,
        iterator: TrainIterator,
        loop_config: loop.LoopConfig,
    ):
        self.module, self.config = module, config
        has_tests = len(data.test_a) > 0 and len(data.test_b) > 0
        self.evaluator: Evaluator | None = None
        if loop_config.evaluate_every > 0 and has_tests:
            name = loop_config.evaluate_features
            self.evaluator = make_evaluator(
                data,
                image_size=config.image_size,
                features=open_vgg(name) if name else None,
            )
        if has_tests:
            tests = make_evaluator(
                _first(data), image_size=config.image_size, batch_size=_SHOWN
            )
            self.shown = {"a": tests.test_a, "b": tests.test_b}
        else:
            samples = [iterator.sampler(i) for i in range(_SHOWN)]
            self.shown = {n: np.stack([s[n] for s in samples]) for n in "ab"}
        self._predict, self._sample = _jitted_views(module)

    @property
    def evaluates(self) -> bool:
        """Whether there is anything to score."""
        return self.evaluator is not None

    def evaluate(self, state: Any) -> Mapping[str, float]:
        """The numbers of the test pictures."""
        params = self._params(state)
        assert self.evaluator is not None
        return self.evaluator(
            lambda x, direction: self._predict(
                params, x, config=self.config, direction=direction
            )
        )

    def draw(self, state: Any) -> Mapping[str, np.ndarray]:
        """The grid of samples."""
        out = self._sample(self._params(state), self.shown, config=self.config)
        pictures = {name: np.asarray(image) for name, image in out.items()}
        return {"samples": sample_grid(pictures | self.shown)}

    def _params(self, state: Any) -> Any:
        return jax.device_get(self.module.generator_params(state))


def _first(data: sources.TwoDomainDataset) -> sources.TwoDomainDataset:
    """The data set with the first few test pictures alone, as many of each domain."""
    count = min(_SHOWN, len(data.test_a), len(data.test_b))
    return dataclasses.replace(
        data,
        test_a=[data.test_a[i] for i in range(count)],
        test_b=[data.test_b[i] for i in range(count)],
    )


class StyleViewer:
    """Test contents painted in test styles, scored by what the method's judge sees.

    The i-th content is painted in the i-th style, round and round. Without tests the
    first training pictures are drawn and nothing is scored.
    """

    evaluator = None

    def __init__(
        self,
        module: Any,
        config: Any,
        data: sources.TwoDomainDataset,
        iterator: TrainIterator,
        loop_config: loop.LoopConfig,
    ):
        self.module, self.config = module, config
        has_tests = len(data.test_a) > 0 and len(data.test_b) > 0
        if has_tests:
            self.shown = {
                "a": _squares(data.test_a, config.image_size),
                "b": _squares(data.test_b, config.image_size),
            }
        else:
            samples = [iterator.sampler(i) for i in range(_SHOWN)]
            self.shown = {n: np.stack([s[n] for s in samples]) for n in "ab"}
        self.evaluates = has_tests and loop_config.evaluate_every > 0
        self._sample = jax.jit(functools.partial(module.sample, config=config))
        self._score = jax.jit(functools.partial(_score, module.judge(config)))

    def evaluate(self, state: Any) -> Mapping[str, float]:
        """How far the painted pictures are from style and content, 0 being there.

        `style` is the distance to the style as a share of the unchanged content's,
        `content` that to the content's deepest maps; `score` is their sum.
        """
        found = [
            self._score(content, painted, goal)
            for content, goal, painted in self._painted(state)
        ]
        means = {n: float(np.mean([f[n] for f in found])) for n in found[0]}
        return means | {"score": means["style"] + means["content"]}

    def draw(self, state: Any) -> Mapping[str, np.ndarray]:
        """The grid of samples."""
        batch = {"a": self.shown["a"][:_SHOWN]}
        batch["b"] = np.stack([x[0] for x in self._styles()][: len(batch["a"])])
        params = jax.device_get(self.module.painting_params(state))
        out = self._sample(params, batch)
        columns = {"content": batch["a"], "style": batch["b"]}
        columns |= {name: np.asarray(image) for name, image in out.items()}
        rows = list(zip(*columns.values(), strict=True))
        return {"samples": panel.grid(rows, column_titles=list(columns))}

    def _painted(self, state: Any) -> Any:
        """(content, style, painted), one batch of one after the other."""
        params = jax.device_get(self.module.painting_params(state))
        for content, goal in zip(self.shown["a"], self._styles(), strict=False):
            batch = {"a": content[None], "b": goal}
            yield batch["a"], goal, self._sample(params, batch)["stylized"]

    def _styles(self) -> list[np.ndarray]:
        styles = self.shown["b"]
        count = len(self.shown["a"])
        return [styles[i % len(styles)][None] for i in range(count)]


class FixedStyleViewer(StyleViewer):
    """Test contents painted in every style of the network; nothing is scored."""

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self.evaluates = False

    def draw(self, state: Any) -> Mapping[str, np.ndarray]:
        """The grid of samples."""
        content = self.shown["a"][:_SHOWN]
        params = jax.device_get(self.module.painting_params(state))
        columns = {"content": content} | {
            name: np.asarray(x)
            for name, x in self._sample(params, {"a": content}).items()
        }
        rows = list(zip(*columns.values(), strict=True))
        return {"samples": panel.grid(rows, column_titles=list(columns))}


def _squares(source: sources.Pictures, size: int) -> np.ndarray:
    batches = evaluation_batches(source, image_size=size, batch_size=_SHOWN)
    return np.concatenate(list(batches))


def _score(
    feature_fn: Callable, content: jax.Array, painted: jax.Array, goal: jax.Array
) -> dict[str, jax.Array]:
    distance = functools.partial(
        style.style_distance, style=goal, feature_fn=feature_fn
    )
    return {
        "style": jnp.mean(distance(painted) / distance(content)),
        "content": jnp.mean(
            style.content_distance(
                painted, content, feature_fn=lambda x: _deepest(feature_fn(x))
            )
        ),
    }


def _deepest(maps: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
    name = list(maps)[-1]
    return {name: maps[name]}
