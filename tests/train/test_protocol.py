"""Protocols: what they pin, written and read back, and what is refused side by side."""

import dataclasses
import json

import numpy as np
import pytest

from stylejax.data.sources import ArraySource, TwoDomainDataset
from stylejax.train import protocol
from stylejax.train.evaluate import make_evaluator
from stylejax.train.features import FeatureSource

FEATURES = FeatureSource(lambda x: {"x": x}, "toy", ("x",), "ab" * 32, "none")


def evaluator(images, **options):
    sources = [ArraySource(list(x)) for x in (images, images, images, 1 - images)]
    data = TwoDomainDataset("toy", *sources, paired=True)
    return make_evaluator(data, image_size=8, features=FEATURES, **options)


@pytest.fixture
def images(generator):
    pixels = generator.integers(0, 256, (5, 12, 10, 3))
    return (pixels / 255).astype(np.float32)


@pytest.fixture
def pinned(images):
    return protocol.protocol_of(evaluator(images), dataset="toy", seed=4)


def evaluation(pinned, **changes):
    figures = {"AtoB": {"l1": {"value": 1.5, "interval": [1.0, 2.0]}}}
    values = {"model": "m", "step": 7, "figures": figures, "protocol": pinned}
    return protocol.Evaluation(**values | changes)


def test_what_is_pinned(pinned):
    assert (pinned.num_a, pinned.num_b, pinned.paired) == (5, 5, True)
    assert (pinned.split, pinned.image_size, pinned.seed) == ("test", 8, 4)
    assert pinned.features["sha256"] == "ab" * 32
    assert "bicubic" in pinned.resize and "no file" in pinned.file_type
    assert len(pinned.pictures_sha256) == 64


def test_the_hash_is_of_the_pictures_their_order_and_their_domain(images, pinned):
    def of(images, **options):
        return evaluator(images, **options).fingerprint

    assert of(images.copy()) == pinned.pictures_sha256
    changed = images.copy()
    changed[4, 3, 3, 0] = 1 - changed[4, 3, 3, 0]
    others = [
        of(changed),
        of(images[::-1]),
        of(1 - images),
        of(images, max_images=4),
        of(images.transpose(0, 2, 1, 3)),
    ]
    assert len({pinned.pictures_sha256, *others}) == 6
    assert of(images, batch_size=2) == pinned.pictures_sha256


def test_written_and_read_back(pinned, tmp_path):
    rows = [evaluation(pinned), evaluation(pinned, step=None, environment={"jax": "1"})]
    path = protocol.write(tmp_path / "deep" / "x.json", rows)
    assert protocol.read(path) == rows
    without = dataclasses.replace(pinned, features=None)
    protocol.write(path, [evaluation(without)])
    assert protocol.read(path) == [evaluation(without)]


def test_a_protocol_can_be_written_alone(pinned, tmp_path):
    protocol.write_protocol(tmp_path / "run" / "protocol.json", pinned)
    found = json.loads((tmp_path / "run" / "protocol.json").read_text())
    assert protocol.Protocol(**found) == pinned


CHANGES = [
    ({"split": "train"}, "split"),
    ({"num_a": 4}, "num_a"),
    ({"num_b": 4}, "num_b"),
    ({"paired": False}, "paired"),
    ({"pictures_sha256": "cd" * 32}, "pictures_sha256"),
    ({"image_size": 128}, "image_size 8 against 128"),
    ({"resize": "nearest"}, "resize"),
    ({"file_type": "JPEG"}, "file_type"),
    ({"seed": 5}, "seed 4 against 5"),
    ({"checkpoint": "best"}, 'checkpoint "given" against "best"'),
    ({"definitions": 2}, "definitions"),
    ({"features": None}, 'features.name "toy" against null'),
    ({"features": {**FEATURES.describe(), "sha256": "cd" * 32}}, "features.sha256"),
    ({"features": {**FEATURES.describe(), "layers": ["y"]}}, "features.layers"),
    ({"features": {**FEATURES.describe(), "extra": 1}}, "features.extra"),
]


@pytest.mark.parametrize(("change", "text"), CHANGES)
def test_every_difference_is_refused_and_named(pinned, change, text):
    other = dataclasses.replace(pinned, **change)
    found = protocol.differences(pinned, other)
    assert any(text in line for line in found)
    if change != {"features": None}:
        assert len(found) == 1
    rows = [evaluation(pinned), evaluation(pinned), evaluation(other, model="n")]
    with pytest.raises(ValueError, match="'n' and 'm' cannot stand side by side") as e:
        protocol.check_comparable(rows)
    assert text in str(e.value) and "\n" not in str(e.value)


def test_every_field_is_compared_but_the_name_of_the_set(pinned):
    changed = {next(iter(change)) for change, _ in CHANGES}
    assert changed == {f.name for f in dataclasses.fields(pinned)} - {"dataset"}
    moved = dataclasses.replace(pinned, dataset="folder:/elsewhere")
    assert protocol.differences(pinned, moved) == []


def test_one_protocol_may_stand_side_by_side(pinned, tmp_path):
    path = protocol.write(tmp_path / "x.json", [evaluation(pinned)])
    # JSON makes lists of tuples; that is no difference.
    protocol.check_comparable([evaluation(pinned), *protocol.read(path)])
    protocol.check_comparable([])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no json", "expected a file of format stylejax-evaluation-1"),
        ("[1]", "expected a file of format"),
        ('{"format": "other"}', "expected a file of format"),
        ('{"format": "stylejax-evaluation-1"}', "broken or of another version"),
        ('{"format": "stylejax-evaluation-1", "evaluations": []}', "no evaluation in"),
        ('{"format": "stylejax-evaluation-1", "evaluations": [{}]}', "broken"),
        ('{"format": "stylejax-evaluation-1", "evaluations": 3}', "broken"),
    ],
)
def test_other_files_are_refused(tmp_path, text, message):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        protocol.read(path)


def test_fields_and_figures_of_another_version_are_refused(pinned, tmp_path):
    path = protocol.write(tmp_path / "x.json", [evaluation(pinned)])
    whole = json.loads(path.read_text())
    for break_it in (
        lambda row: row["protocol"].update(unknown=1),
        lambda row: row["protocol"].pop("num_a"),
        lambda row: row["figures"]["AtoB"].update(l1={"values": 1}),
        lambda row: row["figures"].update(AtoB=3),
    ):
        data = json.loads(json.dumps(whole))
        break_it(data["evaluations"][0])
        path.write_text(json.dumps(data))
        with pytest.raises(ValueError, match="broken or of another version"):
            protocol.read(path)


def test_the_environment_is_told():
    assert set(protocol.environment()) == {"date", "device", "stylejax", "jax"}
