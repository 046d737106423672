"""Logs, events and pictures: what is written, and what a resumed run forgets."""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import pytest
from tensorboardX.proto import event_pb2

from stylejax.image import files
from stylejax.train import writers
from stylejax.train.progress import Writer

ROOT = pathlib.Path(__file__).resolve().parents[2]


def _lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def _events(directory):
    """Every event of every file: TFRecords of length, crc, payload, crc."""
    found = []
    for path in sorted(directory.glob("events.*")):
        content = path.read_bytes()
        while content:
            length = int.from_bytes(content[:8], "little")
            found.append(event_pb2.Event.FromString(content[12 : 12 + length]))
            content = content[16 + length :]
    return found


def _picture(value=0.5):
    return np.full((4, 6, 3), value, np.float32)


def test_building_writers_leaves_no_trace(tmp_path):
    writer = writers.default_writer(tmp_path / "run")
    writer.truncate(0)
    writer.close()
    assert list(tmp_path.iterdir()) == []


def test_log_has_one_json_object_a_line(tmp_path):
    writer = writers.JsonLinesWriter(tmp_path / "run" / "log.jsonl")
    writer.write_scalars(5, {"generator/total": 1.5, "skipped_total": 2})
    writer.write_scalars(5, {"l1": np.float32(3)}, kind="evaluation")
    writer.close()
    first, second = _lines(tmp_path / "run" / "log.jsonl")
    assert (first["step"], first["kind"], first["generator/total"]) == (5, "train", 1.5)
    assert first["time"] > 0 and first["skipped_total"] == 2
    assert (second["kind"], second["l1"]) == ("evaluation", 3.0)


def test_numbers_that_are_not_finite_are_null(tmp_path):
    path = tmp_path / "log.jsonl"
    writer = writers.JsonLinesWriter(path)
    writer.write_scalars(1, {"a": np.nan, "b": -np.inf, "c": None})
    writer.close()
    assert "NaN" not in path.read_text()
    assert [_lines(path)[0][n] for n in "abc"] == [None, None, None]


def test_each_line_is_on_disk_at_once(tmp_path):
    writer = writers.JsonLinesWriter(tmp_path / "log.jsonl")
    writer.write_scalars(1, {})
    assert len(_lines(tmp_path / "log.jsonl")) == 1
    writer.close()


def test_truncation_drops_future_and_broken_lines(tmp_path):
    path = tmp_path / "log.jsonl"
    writer = writers.JsonLinesWriter(path)
    for step in (1, 2, 3, 4):
        writer.write_scalars(step, {})
    writer.close()
    with path.open("a") as file:
        file.write('{"step": 2, "kind": "tr')
    writer.truncate(2)
    writer.write_scalars(3, {"again": 1.0})
    writer.close()
    assert [line["step"] for line in _lines(path)] == [1, 2, 3]
    assert _lines(path)[-1]["again"] == 1.0
    writer.truncate(0)
    assert not path.exists()


def test_events_hold_scalars_and_pictures(tmp_path):
    writer = writers.TensorBoardWriter(tmp_path)
    writer.write_scalars(3, {"loss": 0.25, "bad": np.nan, "none": None})
    writer.write_scalars(3, {"score": 2.0}, kind="evaluation")
    writer.write_image(3, "grid", _picture())
    writer.close()
    values = [v for e in _events(tmp_path) for v in e.summary.value]
    scalars = {
        v.tag: v.simple_value for v in values if v.WhichOneof("value") != "image"
    }
    assert scalars == {"loss": 0.25, "evaluation/score": 2.0}
    (image,) = [v.image for v in values if v.WhichOneof("value") == "image"]
    assert (image.height, image.width) == (4, 6)


def test_pytorch_stays_out_though_tensorboardx_would_import_it():
    code = (
        "import sys; from stylejax.train.writers import TensorBoardWriter as W\n"
        "w = W(sys.argv[1]); w.write_scalars(1, {'a': 1.0}); w.close()\n"
        "assert 'tensorboardX' in sys.modules and 'torch' not in sys.modules"
    )
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([sys.executable, "-c", code, directory], check=True, cwd=ROOT)


def test_resumed_events_hide_the_future(tmp_path):
    writer = writers.TensorBoardWriter(tmp_path)
    writer.write_scalars(9, {"loss": 1.0})
    writer.truncate(5)
    writer.write_scalars(6, {"loss": 2.0})
    writer.close()
    starts = [e for e in _events(tmp_path) if e.HasField("session_log")]
    assert [event.step for event in starts] == [6]


def test_pictures_are_files_named_by_step(tmp_path):
    writer = writers.ImageWriter(tmp_path / "samples")
    for step in (10, 20, 30):
        writer.write_image(step, "a/grid_x", _picture(step / 30))
    writer.truncate(20)
    names = sorted(path.name for path in (tmp_path / "samples").iterdir())
    assert names == ["a_grid_x_00000010.png", "a_grid_x_00000020.png"]
    found = files.read(tmp_path / "samples" / names[1])
    np.testing.assert_allclose(found, _picture(20 / 30), atol=1 / 255)


def test_truncation_spares_pictures_that_are_not_samples(tmp_path):
    (tmp_path / "my_holiday.png").write_bytes(b"x")
    writers.ImageWriter(tmp_path).truncate(0)
    assert (tmp_path / "my_holiday.png").exists()


def test_only_process_0_writes(tmp_path):
    writer = writers.default_writer(tmp_path, process_index=1)
    writer.write_scalars(1, {"a": 1.0})
    writer.write_message("hello")
    writer.close()
    assert list(tmp_path.iterdir()) == []


def test_several_writers_all_get_everything():
    class Recorder(Writer):
        def __init__(self):
            self.calls = []

        def __getattribute__(self, name):
            if name in vars(Writer) and not name.startswith("_"):
                return lambda *args, **options: self.calls.append((name, *args))
            return super().__getattribute__(name)

    recorders = [Recorder(), Recorder()]
    writer = writers.MultiWriter(recorders)
    writer.write_scalars(1, {}, kind="evaluation")
    writer.write_image(1, "x", _picture())
    writer.show_progress("p")
    writer.write_message("m")
    writer.truncate(4)
    writer.close()
    names = [call[0] for call in recorders[0].calls]
    assert sorted(names) == sorted(n for n in vars(Writer) if not n.startswith("_"))
    assert [c[:2] for c in recorders[0].calls] == [c[:2] for c in recorders[1].calls]


@pytest.mark.parametrize("method", ["truncate", "write_message", "show_progress"])
def test_the_base_writer_stays_silent(method, capsys):
    getattr(Writer(), method)(0)
    assert capsys.readouterr() == ("", "")
