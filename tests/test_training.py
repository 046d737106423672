"""A run in one call: it saves, continues bit for bit, and refuses what cannot work."""

import dataclasses
import json

import jax
import numpy as np
import pytest

import stylejax
from stylejax.data.pipeline import PipelineConfig
from stylejax.data.sources import ArraySource, TwoDomainDataset
from stylejax.methods import decoder_fit
from stylejax.methods.adain import AdaINConfig
from stylejax.methods.cyclegan import CycleGANConfig
from stylejax.train.loop import LoopConfig
from stylejax.train.writers import Writer
from stylejax.training import fit
from stylejax.views import sample_grid
from tests.methods.tiny_networks import save_vgg
from tests.train.tiny_vgg import save_tiny_vgg

CONFIG = CycleGANConfig(
    ngf=2,
    num_blocks=1,
    ndf=2,
    num_layers=1,
    image_size=16,
    pool_size=2,
    upsample="resize",
    identity_weight=0.0,
)
PIPELINE = PipelineConfig(batch_size=4, image_size=16, num_threads=0)
# Two steps an epoch, so that the learning rate decays within a few steps.
LOOP = LoopConfig(
    num_steps=4, log_every=1, sample_every=2, evaluate_every=2, evaluate_features=""
)


class Notes(Writer):
    """Keeps what it is told."""

    def __init__(self):
        self.messages, self.images, self.scalars = [], [], []

    def write_message(self, text):
        self.messages.append(text)

    def write_image(self, step, name, image):
        self.images.append((step, name, image.shape))

    def write_scalars(self, step, values, *, kind="train"):
        self.scalars.append((step, kind, dict(values)))


def pictures(seed, count):
    return np.random.default_rng(seed).random((count, 20, 24, 3), np.float32)


@pytest.fixture(scope="module")
def data():
    train_a, train_b, tests = pictures(1, 8), pictures(2, 7), pictures(3, 3)
    return TwoDomainDataset(
        "noise",
        ArraySource(train_a),
        ArraySource(train_b),
        ArraySource(tests),
        ArraySource(1 - tests),
        paired=True,
    )


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """A run of four steps: (its folder, its result, what it wrote)."""
    workdir, notes = tmp_path_factory.mktemp("whole"), Notes()
    features = save_tiny_vgg(tmp_path_factory.mktemp("vgg"))
    judged = dataclasses.replace(LOOP, evaluate_features=str(features))
    run = {"workdir": workdir, "pipeline": PIPELINE, "writer": notes}
    result = fit(data, CONFIG, loop_config=judged, **run)
    return workdir, result, notes


@pytest.mark.slow
def test_a_run_ends_saved_and_can_be_loaded(whole, data):
    workdir, result, _ = whole
    assert (result.step, result.reason) == (4, "finished")
    summary = json.loads((workdir / "summary.json").read_text())
    assert summary["step"] == 4 and 4 in summary["checkpoints"]
    model = stylejax.load(workdir)
    assert model.config == dataclasses.replace(CONFIG, steps_per_epoch=2)
    out = model.translate(pictures(4, 1))
    assert out.shape == (1, 20, 24, 3) and np.isfinite(out).all()


@pytest.mark.slow
def test_a_run_is_scored_and_drawn(whole):
    _, _, notes = whole
    kinds = {(step, kind) for step, kind, _ in notes.scalars}
    assert {(1, "train"), (4, "train"), (2, "evaluation"), (4, "evaluation")} <= kinds
    scores = [values for _, kind, values in notes.scalars if kind == "evaluation"]
    assert {"score", "AtoB/l1", "BtoA/l1_ratio"} <= set(scores[0])
    assert {"AtoB/content", "BtoA/style", "BtoA/perceptual"} <= set(scores[0])
    assert [(step, name) for step, name, _ in notes.images] == [
        (2, "samples"),
        (4, "samples"),
    ]


@pytest.mark.slow
def test_how_a_run_is_evaluated_is_written_down(whole):
    pinned = json.loads((whole[0] / "protocol.json").read_text())
    assert (pinned["dataset"], pinned["num_a"], pinned["num_b"]) == ("noise", 3, 3)
    assert (pinned["checkpoint"], pinned["image_size"]) == ("last", 16)
    assert pinned["features"]["layers"] == ["relu1_1", "relu2_1", "relu3_2"]
    assert len(pinned["features"]["sha256"]) == len(pinned["pictures_sha256"]) == 64


def test_features_that_are_not_there_are_said_before_the_training(data, tmp_path):
    wrong = dataclasses.replace(LOOP, evaluate_features="vgg99")
    with pytest.raises(OSError, match="vgg99"):
        fit(
            data,
            CONFIG,
            workdir=tmp_path,
            pipeline=PIPELINE,
            loop_config=wrong,
            writer=Notes(),
        )


@pytest.mark.slow
def test_two_and_two_steps_are_four_bit_for_bit(whole, data, tmp_path):
    run = {"workdir": tmp_path, "pipeline": PIPELINE, "writer": Notes()}
    half = dataclasses.replace(LOOP, num_steps=2)
    assert fit(data, CONFIG, loop_config=half, **run).step == 2
    result = fit(data, CONFIG, loop_config=LOOP, **run)
    jax.tree.map(np.testing.assert_array_equal, result.state, whole[1].state)
    # Settings of speed alone may change; others may not.
    faster = {**run, "pipeline": dataclasses.replace(PIPELINE, prefetch=2)}
    assert fit(data, CONFIG, loop_config=LOOP, **faster).step == 4
    other = dataclasses.replace(CONFIG, cycle_weight=5.0)
    with pytest.raises(ValueError, match="cycle_weight"):
        fit(data, other, loop_config=LOOP, **run)


@pytest.mark.slow
def test_a_new_run_may_begin_with_another_ones_networks(whole, data, tmp_path):
    still = dataclasses.replace(CONFIG, generator_lr=0.0, discriminator_lr=0.0)
    once = dataclasses.replace(LOOP, num_steps=1, evaluate_every=0, sample_every=0)
    result = fit(
        data,
        still,
        workdir=tmp_path,
        pipeline=PIPELINE,
        loop_config=once,
        init_from=whole[0],
        writer=Notes(),
    )
    assert result.step == 1
    for name in ("generator_params", "discriminator_params"):
        former, now = (getattr(r.state, name) for r in (whole[1], result))
        jax.tree.map(np.testing.assert_array_equal, former, now)


def test_networks_are_fitted_once_and_muon_goes_on_bit_for_bit(
    data, tmp_path, monkeypatch
):
    config = AdaINConfig(
        features=save_vgg(tmp_path),
        image_size=16,
        start="least_squares",
        optimizer="muon",
        ema_decay=0.5,
    )

    def train(workdir, num_steps):
        limits = LoopConfig(num_steps=num_steps, evaluate_every=0, sample_every=0)
        run = {"pipeline": PIPELINE, "loop_config": limits, "writer": Notes()}
        return fit(data, config, workdir=workdir, method="adain", **run)

    train(tmp_path / "parts", 1)
    fitted = []
    monkeypatch.setattr(
        decoder_fit, "fit", lambda *args, **options: fitted.append(args)
    )
    parts = train(tmp_path / "parts", 3)
    assert not fitted
    monkeypatch.undo()
    once = train(tmp_path / "once", 3)
    for x, y in zip(
        jax.tree.leaves(parts.state), jax.tree.leaves(once.state), strict=True
    ):
        np.testing.assert_array_equal(x, y)


def test_sizes_must_agree(data, tmp_path):
    pipeline = dataclasses.replace(PIPELINE, image_size=20)
    with pytest.raises(ValueError, match="image_size: .* 20 and 16"):
        fit(data, CONFIG, workdir=tmp_path, pipeline=pipeline)


def test_the_devices_must_share_a_batch(data, tmp_path):
    pipeline = dataclasses.replace(PIPELINE, batch_size=3)
    with pytest.raises(ValueError, match="multiple of the 4 devices, got 3"):
        fit(data, CONFIG, workdir=tmp_path, pipeline=pipeline)


def test_unknown_methods_and_data_are_refused(data, tmp_path):
    with pytest.raises(ValueError, match="method: .*cyclegan"):
        fit(data, CONFIG, workdir=tmp_path, method="magic")
    with pytest.raises(ValueError, match="'nothing'"):
        fit("nothing", CONFIG, workdir=tmp_path, pipeline=PIPELINE)
    assert list(tmp_path.iterdir()) == []


def test_the_grid_has_both_directions():
    names = ["a", "fake_b", "cycled_a", "identity_a"]
    names += ["b", "fake_a", "cycled_b", "identity_b"]
    cells = {
        name: np.full((2, 5, 5, 3), i / 8, np.float32) for i, name in enumerate(names)
    }
    grid = sample_grid(cells, scale=2)
    assert grid.ndim == 3
    # All eight greys are seen, in this order from left to right.
    row = grid[-6, :, 0]
    seen = [x for x in np.unique(row) if x < 1]
    np.testing.assert_allclose(seen, np.arange(8) / 8, atol=1e-6)
    assert np.all(np.diff([np.argmax(row == x) for x in seen]) > 0)
