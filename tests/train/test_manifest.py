"""The manifest finds every kind of damage and is itself written atomically."""

import json
import os

import pytest

from stylejax.train import manifest


@pytest.fixture
def checkpoint(tmp_path):
    """A directory with two files and a manifest."""
    directory = tmp_path / "100"
    (directory / "state" / "d").mkdir(parents=True)
    (directory / "state" / "d" / "0f3a").write_bytes(bytes(range(256)) * 40)
    (directory / "config").write_text('{"ngf": 8}')
    manifest.write_manifest(directory, step=100, metric=0.125)
    return directory


def test_digest_is_sha256(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert manifest.file_digest(tmp_path / "abc") == known


def test_manifest_lists_every_file_with_step_and_metric(checkpoint):
    content = manifest.read_manifest(checkpoint)
    assert set(content["files"]) == {"config", "state/d/0f3a"}
    assert content["files"]["state/d/0f3a"]["size"] == 10240
    assert (content["step"], content["metric"]) == (100, 0.125)


def test_whole_checkpoint_has_no_damage_and_further_files_are_ignored(checkpoint):
    assert manifest.find_damage(checkpoint) is None
    (checkpoint / "note.txt").write_text("mine")
    assert manifest.find_damage(checkpoint) is None


def test_writing_again_gives_the_same_manifest(checkpoint):
    before = (checkpoint / manifest.MANIFEST_NAME).read_bytes()
    manifest.write_manifest(checkpoint, step=100, metric=0.125)
    assert (checkpoint / manifest.MANIFEST_NAME).read_bytes() == before


def _flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "phrase"),
    [
        (lambda d: (d / "state/d/0f3a").unlink(), "state/d/0f3a is missing"),
        (lambda d: os.truncate(d / "state/d/0f3a", 10239), "10239 bytes"),
        (lambda d: os.truncate(d / "state/d/0f3a", 0), "0 bytes"),
        (lambda d: _flip(d / "state/d/0f3a", 5000), "other content"),
        (lambda d: _flip(d / "config", 0), "config has other content"),
        (lambda d: (d / manifest.MANIFEST_NAME).unlink(), "no manifest"),
        (lambda d: os.truncate(d / manifest.MANIFEST_NAME, 50), "is damaged"),
        (lambda d: (d / manifest.MANIFEST_NAME).write_text("[]"), "is damaged"),
        (lambda d: (d / manifest.MANIFEST_NAME).write_bytes(b"\xff"), "is damaged"),
    ],
)
def test_damage_is_named_in_one_line(checkpoint, harm, phrase):
    harm(checkpoint)
    damage = manifest.find_damage(checkpoint)
    assert phrase in damage and "\n" not in damage


def test_every_byte_of_the_manifest_matters(checkpoint):
    path = checkpoint / manifest.MANIFEST_NAME
    content = json.loads(path.read_text())
    content["metric"] = 0.0625
    path.write_text(json.dumps(content))
    assert "is damaged" in manifest.find_damage(checkpoint)


def test_interrupted_write_leaves_the_former_content(tmp_path, monkeypatch):
    path = tmp_path / "summary.json"
    manifest.write_atomically(path, "old")

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        manifest.write_atomically(path, "new")
    assert path.read_text() == "old"


def test_half_written_manifest_is_not_counted_as_a_file(checkpoint):
    (checkpoint / f".{manifest.MANIFEST_NAME}.tmp").write_text("{")
    content = manifest.write_manifest(checkpoint, step=100)
    assert set(content["files"]) == {"config", "state/d/0f3a"}
    assert not (checkpoint / f".{manifest.MANIFEST_NAME}.tmp").exists()
