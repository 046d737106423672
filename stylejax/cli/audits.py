"""The audits behind `stylejax audit`: hidden, invented, lost; and can the maps tell?

Four questions about a trained translator, each answered with its own error: a hidden
message in the cycle (steganography), structure that was added or removed beyond what
the true partners have, gradients that do not depend on the network (randomised
parameters), and what linear probes read from its middle layer, beside what they could
read without it.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stylejax import api, explain
from stylejax.data import sources
from stylejax.explain import probe_report, random_params, structure_change
from stylejax.methods import METHODS
from stylejax.train.evaluate import Evaluator

BACK = {"AtoB": "BtoA", "BtoA": "AtoB"}
LEAST = 8
"""Pictures below which intervals and the structure test say nothing."""

# A class needs this many pictures to be trained and tested on.
_LEAST_IN_CLASS = 8
_MOST_CLASSES = 12


@dataclasses.dataclass(frozen=True)
class Case:
    """A model, the pictures it is audited on, and their labels.

    Attributes:
        model: the translator.
        evaluator: its test pictures.
        dataset: where they come from.
        seed: of noise, random networks and bootstrap.
        draws: networks with random parameters.
    """

    model: api.Translator
    evaluator: Evaluator
    dataset: sources.TwoDomainDataset
    seed: int
    draws: int

    @functools.cached_property
    def outputs(self) -> dict[str, np.ndarray]:
        """The translations of the test pictures, by direction."""
        return {d: self.translated(d, self.inputs(d)) for d in sorted(BACK)}

    def inputs(self, direction: str) -> np.ndarray:
        """The test pictures that a direction starts from."""
        test = self.evaluator
        return np.asarray(test.test_a if direction == "AtoB" else test.test_b)

    def translated(self, direction: str, images: np.ndarray) -> np.ndarray:
        """Translations, a few pictures at a time."""
        parts = [
            np.asarray(self.model.translate(images[i : i + 8], direction=direction))
            for i in range(0, len(images), 8)
        ]
        return np.concatenate(parts)


def audit_steganography(case: Case) -> dict[str, dict[str, Any]]:
    """Whether the cycles hide a message in their intermediate picture.

    Args:
        case: model and pictures.

    Returns:
        By the direction that the cycle begins with: numbers and a summary.
    """
    rows = {}
    for direction, back in BACK.items():
        report = explain.find_hidden_channel(
            jax.random.key(case.seed),
            functools.partial(case.model.translate, direction=direction),
            functools.partial(case.model.translate, direction=back),
            jnp.asarray(case.inputs(direction)[:LEAST]),
            seed=case.seed,
        )
        rows[direction] = {
            "verdict": report.verdict,
            "hidden_share": _finite(report.hidden_share),
            "interval": [float(v) for v in report.interval[:2]],
            "threshold": report.threshold,
            "clean_error": _finite(report.clean_error),
            "pictures": report.num_pictures,
            "summary": report.summary(),
        }
    return rows


def audit_structure(case: Case) -> dict[str, dict[str, Any]]:
    """Whether translations have structure that inputs lack, against the true partners.

    Args:
        case: model and pictures.

    Returns:
        By direction: rates with intervals, or why there are none.
    """
    if not case.evaluator.paired:
        why = "not done: it needs true partners to say what is normal; none in this set"
        return {direction: {"summary": why} for direction in BACK}
    rows = {}
    for direction in BACK:
        report = structure_of(case, direction)
        rows[direction] = {
            "added": report.added_rate[0],
            "added_interval": [float(v) for v in report.added_rate[1][:2]],
            "removed": report.removed_rate[0],
            "removed_interval": [float(v) for v in report.removed_rate[1][:2]],
            "level": report.level,
            "known_pictures": report.num_null,
            "summary": report.summary(),
        }
    return rows


def audit_randomization(case: Case) -> dict[str, dict[str, Any]]:
    """Whether gradients of an output's middle depend on the network at all.

    Args:
        case: model and pictures.

    Returns:
        By direction: likeness to maps of random networks, and a verdict.
    """
    predict = METHODS[case.model.method].predict
    size = case.inputs("AtoB").shape[1]
    box = (size // 4, size // 4, size // 2, size // 2)
    target = explain.region_mean("luminance", box=box)
    # Elsewhere maps are near zero with any parameters: alike, and for that reason only.
    mask = np.zeros((size, size), bool)
    mask[size // 4 : 3 * size // 4, size // 4 : 3 * size // 4] = True
    rows = {}
    for direction in BACK:

        def gradient(
            params: Any, image: jax.Array, direction: str = direction
        ) -> jax.Array:
            def value(x: jax.Array) -> jax.Array:
                output = predict(
                    params, x[None], config=case.model.config, direction=direction
                )
                return target(output)[0]

            return jax.grad(value)(image)

        images = jnp.asarray(case.inputs(direction)[:LEAST])
        blurred = jnp.stack([explain.blur_baseline(image) for image in images])
        report = explain.randomization_check(
            jax.random.key(case.seed),
            gradient,
            case.model.params,
            images,
            reference=images - blurred,
            multiplied=False,
            mask=mask,
            num_draws=case.draws,
        )
        last = report.stages[-1]
        rows[direction] = {
            "passes": bool(report.passes),
            "signed": _finite(last.signed.mean),
            "absolute": _finite(last.absolute.mean),
            "reference_absolute": _finite(report.reference.absolute.mean),
            "draws": case.draws,
            "summary": report.summary(),
        }
    return rows


def audit_probes(case: Case) -> dict[str, dict[str, Any]]:
    """What linear probes read from the middle layer's channel means and deviations.

    The means alone say little there: the last norm of a residual block takes the mean
    off what the block adds.

    Args:
        case: model and pictures.

    Returns:
        By direction and factor: score, baselines and selectivity.
    """
    rows = {}
    random = dataclasses.replace(
        case.model,
        params=random_params.randomize_params(
            jax.random.key(case.seed), case.model.params
        ),
    )
    for direction in BACK:
        layer = _middle_layer(case, direction)
        for factor, (images, labels, groups) in _factors(case, direction).items():
            trained, untrained = (
                _channel_moments(model, direction, layer, images)
                for model in (case.model, random)
            )
            pixels = [images.mean(axis=(1, 2)), images.std(axis=(1, 2))]
            report = probe_report.probe_report(
                trained,
                labels,
                groups=groups,
                baselines={
                    "pixel moments": np.concatenate(pixels, axis=1),
                    "random network": untrained,
                },
                name=f"{factor} from {layer}",
            )
            rows[f"{direction} {factor}"] = {
                "layer": layer,
                "score": report.score,
                "majority": report.majority,
                "pixel_moments": report.baselines["pixel moments"].score,
                "random_network": report.baselines["random network"].score,
                "selectivity": _finite(report.selectivity),
                "summary": report.summary(),
            }
    return rows


AUDITS = {
    "steganography": audit_steganography,
    "structure": audit_structure,
    "randomization": audit_randomization,
    "probes": audit_probes,
}


def structure_of(case: Case, direction: str) -> structure_change.StructureReport:
    """Structure added and removed by a direction, against what the partners have.

    Args:
        case: model and pictures that have true partners.
        direction: "AtoB" or "BtoA".

    Returns:
        The report, with its maps.
    """
    inputs = jnp.asarray(case.inputs(direction))
    level = max(0.05, 1 / (len(inputs) + 1) + 1e-6)
    return structure_change.structure_change(
        inputs,
        jnp.asarray(case.outputs[direction]),
        null_inputs=inputs,
        null_outputs=jnp.asarray(case.inputs(BACK[direction])),
        level=level,
    )


def _factors(case: Case, direction: str) -> dict[str, tuple]:
    """Factor -> (pictures, labels, groups): the domain, and the labels of the set."""
    first, second = case.inputs("AtoB"), case.inputs("BtoA")
    images = np.concatenate([first, second])
    side = np.array(["A"] * len(first) + ["B"] * len(second))
    # Partners stay together, or the probe could remember the picture.
    apart = 0 if case.evaluator.paired else len(first)
    groups = np.concatenate([np.arange(len(first)), apart + np.arange(len(second))])
    found = {"domain": (images, side, groups)}
    own = case.inputs(direction)
    split = "test_a" if direction == "AtoB" else "test_b"
    for name, values in (case.dataset.labels or {}).get(split, {}).items():
        labels = np.asarray(values)[: len(own)]
        if labels.dtype.kind not in "iuUS":
            continue
        names, counts = np.unique(labels, return_counts=True)
        kept = np.isin(labels, names[counts >= _LEAST_IN_CLASS])
        if 2 <= len(np.unique(labels[kept])) <= _MOST_CLASSES:
            found[name] = (own[kept], labels[kept], np.arange(len(own))[kept])
    return found


def _middle_layer(case: Case, direction: str) -> str:
    """The middle one of the network's own layers: the bottleneck of a translator."""
    shape = jax.ShapeDtypeStruct((1, *case.inputs(direction).shape[1:]), jnp.float32)
    names = explain.activation_paths(
        lambda x: case.model.translate(x, direction=direction), shape
    )
    layers = [name for name in names if "/" not in name]
    return layers[len(layers) // 2]


def _channel_moments(
    model: api.Translator, direction: str, layer: str, images: np.ndarray
) -> np.ndarray:
    read = explain.record(
        lambda x: model.translate(x, direction=direction), names=[layer]
    )

    @jax.jit
    def moments(batch: jax.Array) -> jax.Array:
        found = read(batch)[1][layer]
        both = [found.mean(axis=(1, 2)), found.std(axis=(1, 2))]
        return jnp.concatenate(both, axis=1)

    # One size of batch, so that one program serves all.
    padded = np.pad(images, ((0, -len(images) % 8), (0, 0), (0, 0), (0, 0)))
    parts = [np.asarray(moments(padded[i : i + 8])) for i in range(0, len(padded), 8)]
    return np.concatenate(parts)[: len(images)]


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
