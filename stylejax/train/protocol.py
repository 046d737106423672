"""How figures were made, written beside them, so that only like is put beside like.

One model spans FID 62 to 77 by protocol alone. So all that moves a figure without the
model being better is pinned here, compared field by field, and a difference refused.
"""

import dataclasses
import datetime
import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

import stylejax
from stylejax.train.evaluate import Evaluator
from stylejax.train.manifest import write_atomically

FORMAT = "stylejax-evaluation-1"
RESIZE = "bicubic, antialiased, to a square, clipped to [0, 1]"
FILE_TYPE = "float32 arrays, no file in between"
CHECKPOINTS = ("last", "best", "given")
# The name of a folder says nothing that the hash of its pictures does not.
_NOT_COMPARED = {"dataset"}


@dataclasses.dataclass(frozen=True)
class Protocol:
    """All that figures depend on beside the model.

    Attributes:
        dataset: its name; the pictures themselves are told apart by their hash.
        split: which part of it.
        num_a: pictures of domain A.
        num_b: pictures of domain B.
        paired: whether they are partners.
        pictures_sha256: hash of the decoded pictures, before resizing.
        image_size: side they are resized to, in pixels.
        resize: how.
        file_type: what translations are stored in before they are measured.
        features: what `FeatureSource.describe` says, with the hash of the weights; None
            where no features were looked at.
        seed: of bootstrap and half-samples.
        checkpoint: "last" and "best" (on these very pictures) of a training, "given"
            for a file or a step that was named.
        definitions: raised when a metric of this package changes its meaning.
    """

    dataset: str
    split: str
    num_a: int
    num_b: int
    paired: bool
    pictures_sha256: str
    image_size: int
    resize: str = RESIZE
    file_type: str = FILE_TYPE
    features: Mapping[str, Any] | None = None
    seed: int = 0
    checkpoint: str = "given"
    definitions: int = 1


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Figures of one model with how they were made.

    Attributes:
        model: name or path.
        step: of a training; None for a file.
        protocol: how.
        figures: from `stylejax.train.figures`.
        environment: versions, device, date: told, not compared.
    """

    model: str
    step: int | None
    protocol: Protocol
    figures: Mapping[str, Any]
    environment: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def protocol_of(
    evaluator: Evaluator,
    *,
    dataset: str,
    split: str = "test",
    seed: int = 0,
    checkpoint: str = "given",
) -> Protocol:
    """The protocol of figures made with an evaluator.

    Args:
        evaluator: from `make_evaluator`.
        dataset: its name.
        split: which part of it.
        seed: of bootstrap and half-samples.
        checkpoint: one of `CHECKPOINTS`.

    Returns:
        A `Protocol`.
    """
    features = evaluator.features
    return Protocol(
        dataset=dataset,
        split=split,
        num_a=len(evaluator.test_a),
        num_b=len(evaluator.test_b),
        paired=evaluator.paired,
        pictures_sha256=evaluator.fingerprint,
        image_size=evaluator.test_a.shape[1],
        features=features.describe() if features else None,
        seed=seed,
        checkpoint=checkpoint,
    )


def differences(first: Protocol, second: Protocol) -> list[str]:
    """Where two protocols differ, such as "image_size 64 against 128".

    Args:
        first: the one.
        second: the other.

    Returns:
        A line for each field, `features.…` told apart; empty where figures may stand
        side by side.
    """
    flat = [_flat(p) for p in (first, second)]
    names = dict.fromkeys([*flat[0], *flat[1]])
    return [
        f"{name} {_short(flat[0].get(name))} against {_short(flat[1].get(name))}"
        for name in names
        if flat[0].get(name) != flat[1].get(name)
    ]


def check_comparable(evaluations: Sequence[Evaluation]) -> None:
    """Returns nothing; refuses figures of different protocols side by side.

    Args:
        evaluations: what shall stand in one table.

    Raises:
        ValueError: two protocols differ; the fields are named.
    """
    for other in evaluations[1:]:
        first = evaluations[0]
        found = differences(first.protocol, other.protocol)
        if found:
            raise ValueError(
                f"the figures of {other.model!r} and {first.model!r} cannot stand side"
                f" by side: {'; '.join(found)}; evaluate both in one way"
            )


def write(path: str | os.PathLike, evaluations: Sequence[Evaluation]) -> Path:
    """The path of the JSON file just written.

    Args:
        path: where to; its folder is made.
        evaluations: figures with their protocols.

    Returns:
        The path.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(as_dict(evaluations), indent=1) + "\n")
    return path


def environment() -> dict[str, str]:
    """Where and when this runs: told beside figures, not compared.

    Returns:
        Date, device and versions.
    """
    return {
        "date": datetime.date.today().isoformat(),
        "device": f"{jax.devices()[0].device_kind}, {platform.machine()}",
        "stylejax": stylejax.__version__,
        "jax": jax.__version__,
    }


def write_protocol(path: str | os.PathLike, protocol: Protocol) -> None:
    """Writes a protocol without figures, for those that come later in a log.

    Args:
        path: where to; its folder is made.
        protocol: how figures are made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(dataclasses.asdict(protocol), indent=1) + "\n")


def as_dict(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """What `write` writes.

    Args:
        evaluations: figures with their protocols.

    Returns:
        JSON-able dictionary.
    """
    rows = [dataclasses.asdict(evaluation) for evaluation in evaluations]
    return {"format": FORMAT, "evaluations": rows}


def read(path: str | os.PathLike) -> list[Evaluation]:
    """The evaluations of a file that `write` wrote.

    Args:
        path: the file.

    Returns:
        At least one `Evaluation`.

    Raises:
        OSError: it cannot be read.
        ValueError: it holds something else.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError:
        data = None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ValueError(
            f"expected a file of format {FORMAT}, got something else in {str(path)!r};"
            " give one that stylejax evaluate --out wrote"
        )
    try:
        found = [_evaluation(row) for row in data["evaluations"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"the evaluations in {str(path)!r} are broken or of another version of"
            f" stylejax: {error}"
        ) from None
    if not found:
        raise ValueError(f"there is no evaluation in {str(path)!r}")
    return found


def _evaluation(row: Mapping[str, Any]) -> Evaluation:
    evaluation = Evaluation(**{**row, "protocol": Protocol(**row["protocol"])})
    for of_direction in evaluation.figures.values():
        for figure in of_direction.values():
            _ = figure["value"]
    return evaluation


def _flat(protocol: Protocol) -> dict[str, Any]:
    fields = dataclasses.asdict(protocol)
    features = fields.pop("features") or {"name": None}
    flat = {name: x for name, x in fields.items() if name not in _NOT_COMPARED}
    return flat | {f"features.{name}": x for name, x in features.items()}


def _short(value: Any) -> str:
    """Hashes are cut, they fill the line."""
    text = json.dumps(value)
    return f"{text[:13]}…" if len(text) == 66 and " " not in text else text
