"""`stylejax evaluate`: every figure of a model on test pictures, with its protocol."""

import dataclasses
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax

from stylejax import api
from stylejax.cli.messages import UsageError
from stylejax.data import sources
from stylejax.train import checkpoint_files, protocol, two_sample
from stylejax.train.evaluate import Evaluator, make_evaluator
from stylejax.train.features import FeatureSource, open_vgg
from stylejax.train.figures import BETTER, figures

USAGE = "stylejax evaluate CHECKPOINT --dataset=… [--compare=FILE.json …] [--out=FILE]"


@dataclasses.dataclass(frozen=True)
class Options:
    """What `stylejax evaluate` can be told.

    Attributes:
        dataset: emoji, folder:PATH, tfds:NAME_OR_DIR or shapes; its test pictures.
        compare: JSON files of earlier evaluations to print beside this one.
        out: JSON file of the figures and their protocol; empty for none.
        step: of a training, a number, last or best; empty for last and best.
        features: VGG that judges beside the pixels, a name or a file; empty for none.
        size: side of the pictures in pixels; 0 for that of the training.
        num_images: test pictures of each domain, the first ones; 0 for all.
        classify: train classifiers of true against translated pictures as well.
        data_dir: where prepared tfds sets lie.
        on_bad_image: error stops at a picture that cannot be read, skip leaves it out.
        json: print the figures as JSON, all else on standard error.
        seed: of bootstrap, half-samples and classifiers.
    """

    dataset: str = "emoji"
    compare: tuple[str, ...] = ()
    out: str = ""
    step: str = ""
    features: str = "vgg16"
    size: int = 0
    num_images: int = 0
    classify: bool = False
    data_dir: str = ""
    on_bad_image: Literal["error", "skip"] = "error"
    json: bool = False
    seed: int = 0


class Choice(NamedTuple):
    """A checkpoint to evaluate: how it was chosen, and its step of a training."""

    rule: str
    step: int | None


def run(options: Options, arguments: Sequence[str]) -> dict[str, Any]:
    """The evaluations, as `--out` writes them.

    Args:
        options: from the flags.
        arguments: the checkpoint.

    Returns:
        Dictionary with `evaluations`, each with figures, protocol and environment.

    Raises:
        UsageError: not one checkpoint, or options it cannot have.
        ValueError: broken files, or figures of different protocols side by side.
        OSError: a file that is not there.
    """
    if len(arguments) != 1:
        raise UsageError(
            f"expected one checkpoint, got {len(arguments)}; usage: {USAGE}"
        )
    for name in ("size", "num_images"):
        if getattr(options, name) < 0:
            raise UsageError(
                f"{name}: expected 0 or more, got {getattr(options, name)}"
            )
    # What can go wrong at once is done before what takes minutes.
    others = [e for path in options.compare for e in protocol.read(path)]
    chosen = choices(arguments[0], options.step)
    models = [api.load(arguments[0], step=choice.step) for choice in chosen]
    dataset, evaluator = _open(options, models[0].config.image_size)
    protocols = [
        protocol.protocol_of(
            evaluator, dataset=dataset.name, seed=options.seed, checkpoint=choice.rule
        )
        for choice in chosen
    ]
    _check_others(arguments[0], protocols, others)
    done: list[protocol.Evaluation] = []
    for choice, model, pinned in zip(chosen, models, protocols, strict=True):
        same = next((e for e in done if e.step == choice.step), None)
        if same is None:
            found, told = _evaluate(model, evaluator, dataset, options)
            same = protocol.Evaluation(arguments[0], choice.step, pinned, found, told)
        done.append(dataclasses.replace(same, protocol=pinned))
    stream = sys.stderr if options.json else sys.stdout
    for evaluation in done:
        rule = evaluation.protocol.checkpoint
        beside = [e for e in others if e.protocol.checkpoint == rule]
        print(table([evaluation, *beside]), end="\n\n", file=stream, flush=True)
    if options.out:
        path = protocol.write(_json_path(options.out), done)
        print(f"written: {path}", file=stream)
    return protocol.as_dict(done)


def choices(name_or_path: str, step: str) -> list[Choice]:
    """The checkpoints that a name and `--step` stand for.

    Args:
        name_or_path: as `stylejax.load` takes it.
        step: a number, "last", "best" or "" for both.

    Returns:
        One choice or two; a file or a checkpoint's own folder has one, "given".

    Raises:
        UsageError: a step of something that has none, or no such step.
        FileNotFoundError: the training has not saved yet.
    """
    path = Path(name_or_path).expanduser()
    if not path.is_dir():
        if step:
            raise UsageError(
                f"step: {name_or_path!r} is no folder of a training, it has no"
                f" {step!r}; leave --step out"
            )
        return [Choice("given", None)]
    folder, last = checkpoint_files.locate(path)
    if not (path / "checkpoints").is_dir() and path.name.isdecimal():
        return [Choice("given", last)]  # one checkpoint's own folder
    best = checkpoint_files.best_step(checkpoint_files.finished_steps(folder))
    if step in ("", "last", "latest"):
        found = [Choice("last", last)]
        return found + ([Choice("best", best[0])] if best and not step else [])
    if step == "best":
        if best is None:
            raise UsageError(
                f"step: no checkpoint in {str(folder)!r} was scored, so none is best;"
                " take --step=last"
            )
        return [Choice("best", best[0])]
    if not step.isdecimal():
        raise UsageError(
            f"step: expected a number, last, best or nothing, got {step!r}"
        )
    return [Choice("given", int(step))]


def table(evaluations: Sequence[protocol.Evaluation]) -> str:
    """Evaluations of one protocol for a person, side by side.

    Args:
        evaluations: the first one's unchanged input and true pictures are shown too.

    Returns:
        Text that ends without a line break.

    Raises:
        ValueError: the protocols differ.
    """
    protocol.check_comparable(evaluations)
    first = evaluations[0]
    lines = [_headline(first.protocol)]
    for direction in first.figures:
        names = [
            e.model if e.step is None else f"{e.model}@{e.step}" for e in evaluations
        ]
        rows = [[direction, *names, "unchanged", "true", "better"]]
        of_direction = [e.figures.get(direction, {}) for e in evaluations]
        metrics = dict.fromkeys(name for figures in of_direction for name in figures)
        # Metrics this version does not know come last.
        order = [n for n in BETTER if n in metrics]
        for name in [*order, *(n for n in metrics if n not in BETTER)]:
            own = of_direction[0].get(name, {})
            compared = [_number(own.get(part)) for part in ("unchanged", "true")]
            cells = [_cell(figures.get(name)) for figures in of_direction]
            rows.append([f"  {name}", *cells, *compared, BETTER.get(name, "")])
        lines += ["", _aligned(rows)]
    if any(
        figure.get("rank_deficient")
        for e in evaluations
        for figures in e.figures.values()
        for figure in figures.values()
    ):
        lines += ["", "* biased: no more pictures than dimensions"]
    return "\n".join(lines)


def _open(
    options: Options, image_size: int
) -> tuple[sources.TwoDomainDataset, Evaluator]:
    features = _features(options.features)
    dataset = sources.load(
        options.dataset,
        on_bad_image=options.on_bad_image,
        data_dir=options.data_dir or None,
    )
    if not len(dataset.test_a) or not len(dataset.test_b):
        raise UsageError(
            f"no test picture in one domain of {dataset.name!r}; add testA and testB"
        )
    evaluator = make_evaluator(
        dataset,
        image_size=options.size or image_size,
        max_images=options.num_images,
        features=features,
    )
    return dataset, evaluator


def _evaluate(
    model: api.Translator,
    evaluator: Evaluator,
    dataset: sources.TwoDomainDataset,
    options: Options,
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """(figures, where and when and in how many seconds they were made)."""

    def translate(images, direction):
        return model.translate(images, direction=direction)

    began = time.monotonic()
    found = figures(evaluator, translate, seed=options.seed)
    if options.classify:
        key = jax.random.key(options.seed)
        train = two_sample.training_pictures(
            dataset, image_size=evaluator.test_a.shape[1]
        )
        accuracies = two_sample.translation_accuracy(key, train, evaluator, translate)
        for direction, numbers in accuracies.items():
            found[direction]["classifier_accuracy"] = {
                "value": numbers["classifier_accuracy"],
                "unchanged": numbers["classifier_accuracy_unchanged"],
            }
    seconds = round(time.monotonic() - began, 1)
    return found, {**protocol.environment(), "seconds": seconds}


def _check_others(
    model: str,
    protocols: Sequence[protocol.Protocol],
    others: Sequence[protocol.Evaluation],
) -> None:
    """Refuses earlier figures that fit none of the protocols of this evaluation."""
    by_rule = {p.checkpoint: p for p in protocols}
    for other in others:
        pinned = by_rule.get(other.protocol.checkpoint, protocols[0])
        mine = protocol.Evaluation(model, None, pinned, {})
        protocol.check_comparable([mine, other])


def _features(name: str) -> FeatureSource | None:
    if not name:
        return None
    try:
        return open_vgg(name)
    except ImportError as error:  # an extra that reads this kind of file
        raise UsageError(str(error)) from None


def _json_path(out: str) -> Path:
    path = Path(out).expanduser()
    return path if path.suffix == ".json" else path.with_name(f"{path.name}.json")


def _headline(pinned: protocol.Protocol) -> str:
    features = pinned.features or {}
    looked = f"{features['name']} ({features['sha256'][:8]}…)" if features else "none"
    kind = "pairs" if pinned.paired else "unpaired"
    return (
        f"{pinned.checkpoint} checkpoint on {pinned.dataset}, {pinned.split}:"
        f" {pinned.num_a} and {pinned.num_b} pictures at {pinned.image_size} px,"
        f" {kind}; features: {looked}; seed {pinned.seed}; 95 % intervals"
    )


def _cell(figure: dict[str, Any] | None) -> str:
    if figure is None:
        return ""
    value = figure["value"]
    text = "not finite" if value is None else _number(value)
    text += "*" if figure.get("rank_deficient") else ""
    if figure.get("interval"):
        text += " [{}, {}]".format(*map(_number, figure["interval"]))
    return text


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
