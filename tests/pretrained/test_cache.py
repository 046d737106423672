"""The cache holds whole and right files only, whoever writes to it at once."""

import hashlib
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from stylejax.pretrained import cache, download


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def files(shop):
    return sorted(p.name for p in shop.folder.iterdir() if p.suffix != ".lock")


def other(content):
    """Bytes of the same length that are another file."""
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"STYLEJAX_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, "/a/weights"),
        ({"STYLEJAX_CACHE": "~/c"}, "/home/me/c/weights"),
        ({"XDG_CACHE_HOME": "/b"}, "/b/stylejax/weights"),
        ({"XDG_CACHE_HOME": "b"}, "/home/me/.cache/stylejax/weights"),
        (
            {"STYLEJAX_CACHE": "", "XDG_CACHE_HOME": ""},
            "/home/me/.cache/stylejax/weights",
        ),
        ({}, "/home/me/.cache/stylejax/weights"),
    ],
)
def test_the_folder_follows_the_environment(monkeypatch, variables, expected):
    for name in ("STYLEJAX_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/me", **variables}.items():
        monkeypatch.setenv(name, value)
    assert cache.folder() == Path(expected)


def test_a_first_fetch_brings_the_file_and_pins_its_hash(shop):
    found = cache.fetch(shop.entry)
    digest = sha256(shop.told.content)
    assert found == (shop.folder / "tiny.pth", digest, True)
    assert found.path.read_bytes() == shop.told.content
    assert files(shop) == ["pins.json", "tiny.pth"]
    assert json.loads((shop.folder / "pins.json").read_text()) == {"tiny.pth": digest}
    assert cache.pinned(shop.entry) == digest
    assert cache.find(shop.entry) == found.path


def test_a_second_fetch_asks_nobody(shop):
    first = cache.fetch(shop.entry)
    assert cache.fetch(shop.entry) == first._replace(is_new=False)
    assert len(shop.told.requests) == 1


def test_a_cut_fetch_leaves_no_file_and_the_next_goes_on(shop):
    shop.told.cut_after = 10_000
    with pytest.raises(download.DownloadError, match="ended after 10000 of"):
        cache.fetch(shop.entry)
    assert files(shop) == ["tiny.pth.part", "tiny.pth.part.json"]
    with pytest.raises(FileNotFoundError):
        cache.find(shop.entry)
    shop.told.cut_after = None
    assert cache.fetch(shop.entry).sha256 == sha256(shop.told.content)
    assert files(shop) == ["pins.json", "tiny.pth"]
    assert shop.told.answers[1] == (206, len(shop.told.content) - 10_000)


def test_a_process_that_was_killed_is_continued(shop):
    shop.told.pause = 0.05
    code = (
        "from stylejax.pretrained import cache, catalogue;"
        f"cache.fetch(catalogue.Entry(**{vars(shop.entry)!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    part = shop.folder / "tiny.pth.part"
    deadline = time.monotonic() + 60
    while not (part.is_file() and part.stat().st_size) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = part.stat().st_size
    assert 0 < kept < len(shop.told.content) and files(shop)[0] == "tiny.pth.part"
    shop.told.pause = 0.0
    assert cache.fetch(shop.entry).sha256 == sha256(shop.told.content)
    assert shop.told.requests[1]["Range"] == f"bytes={kept}-"


@pytest.mark.parametrize("digits", [8, 64])
def test_a_wrong_hash_is_refused_and_nothing_is_kept(shop, digits):
    entry = shop.offers(sha256=sha256(shop.told.content)[:digits])
    assert entry.is_verified == (digits == 64)
    right, shop.told.content = shop.told.content, other(shop.told.content)
    with pytest.raises(ValueError, match="expected SHA-256") as caught:
        cache.fetch(entry)
    assert entry.sha256 in str(caught.value)
    assert sha256(shop.told.content) in str(caught.value)
    assert files(shop) == []
    shop.told.content = right
    assert cache.fetch(entry).is_new


def test_bytes_glued_unseen_are_caught_by_the_hash(shop):
    """No tag, no date, the same length: the download alone cannot know."""
    shop.told.etag, shop.told.cut_after = False, 10_000
    right, shop.told.content = shop.told.content, bytes(len(shop.told.content))
    with pytest.raises(download.DownloadError):
        cache.fetch(shop.entry)
    shop.told.content, shop.told.cut_after = right, None
    with pytest.raises(ValueError, match="expected SHA-256"):
        cache.fetch(shop.entry)
    assert cache.fetch(shop.entry).sha256 == sha256(right)


@pytest.mark.parametrize("known", ["", "prefix"])
def test_what_came_first_is_pinned_and_another_is_refused_later(shop, known):
    """With an unverified hash the first download decides."""
    entry = shop.offers(sha256="")
    first = cache.fetch(entry)
    first.path.unlink()
    shop.told.content = other(shop.told.content)
    if known:
        entry = shop.offers(sha256=sha256(shop.told.content)[:8])
    with pytest.raises(ValueError, match="not the tiny that came first") as caught:
        cache.fetch(entry)
    assert first.sha256 in str(caught.value) and "pins.json" in str(caught.value)
    assert files(shop) == ["pins.json"]
    (shop.folder / "pins.json").write_text("{}")  # as the message says
    assert cache.fetch(entry).sha256 == sha256(shop.told.content)


@pytest.mark.parametrize("ask", [cache.find, cache.fetch])
def test_a_file_that_changes_on_the_disk_is_refused(shop, ask):
    entry = shop.offers(sha256="")
    path = cache.fetch(entry).path
    path.write_bytes(other(shop.told.content))
    with pytest.raises(ValueError, match="not the tiny that came first"):
        ask(entry)
    assert len(shop.told.requests) == 1 and path.exists()  # the user's to delete


def test_a_wrong_size_is_refused(shop):
    entry = shop.offers(sha256="", megabytes=shop.entry.megabytes * 2)
    with pytest.raises(ValueError, match="bytes, expected about"):
        cache.fetch(entry)
    entry = shop.offers(megabytes=shop.entry.megabytes / 4)
    with pytest.raises(download.DownloadError, match="at most: another file"):
        cache.fetch(entry)
    assert files(shop) == []


def test_offline_the_answer_names_the_address_and_the_place(shop):
    entry = shop.offers(address="http://127.0.0.1:9/models/tiny.pth")
    with pytest.raises(download.DownloadError) as caught:
        cache.fetch(entry)
    text = str(caught.value)
    assert "\n" not in text
    assert "cannot reach http://127.0.0.1:9/models/tiny.pth (" in text
    assert f"put it at {str(shop.folder / 'tiny.pth')!r} and run:" in text
    assert text.endswith("stylejax weights fetch tiny")
    # The user does as the answer says.
    (shop.folder / "tiny.pth").write_bytes(shop.told.content)
    assert not cache.fetch(entry).is_new
    assert cache.pinned(entry) == sha256(shop.told.content)


def test_a_wrong_file_put_there_by_hand_is_refused(shop):
    shop.folder.mkdir(parents=True)
    (shop.folder / "tiny.pth").write_bytes(b"<html>Sign in</html>")
    for ask in (cache.fetch, cache.find):
        with pytest.raises(ValueError, match="not the tiny of http"):
            ask(shop.entry)
    assert cache.pinned(shop.entry) == ""


def test_a_folder_in_its_place_is_named(shop):
    (shop.folder / "tiny.pth").mkdir(parents=True)
    with pytest.raises(IsADirectoryError, match="tiny.pth' is a folder"):
        cache.fetch(shop.entry)
    assert shop.told.requests == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"tiny.pth": 5}', "[" * 100_000])
def test_broken_pins_are_one_line(shop, text):
    cache.fetch(shop.entry)
    (shop.folder / "pins.json").write_text(text)
    with pytest.raises(ValueError, match=r"pins.json' is broken: .* delete it"):
        cache.find(shop.entry)


def test_pins_of_other_files_stay(shop):
    shop.folder.mkdir(parents=True)
    (shop.folder / "pins.json").write_text('{"other.pth": "00"}')
    cache.fetch(shop.entry)
    assert set(json.loads((shop.folder / "pins.json").read_text())) == {
        "other.pth",
        "tiny.pth",
    }


def test_what_was_not_fetched_is_named_with_the_command(shop):
    with pytest.raises(FileNotFoundError, match="stylejax weights fetch tiny$"):
        cache.find(shop.entry)


def test_threads_share_one_download(shop):
    shop.told.pause = 0.02
    found, said = [], []

    def work():
        found.append(cache.fetch(shop.entry, progress=False, say=said.append))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(f.is_new for f in found) == [False, False, False, True]
    assert {f.sha256 for f in found} == {sha256(shop.told.content)}
    assert len(shop.told.requests) == 1
    assert said and set(said) == {"another process works on tiny.pth; waiting for it"}


def test_processes_share_one_download(shop):
    shop.told.pause = 0.05
    code = (
        "from stylejax.pretrained import cache, catalogue;"
        f"found = cache.fetch(catalogue.Entry(**{vars(shop.entry)!r}));"
        "print(found.is_new, found.sha256)"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    outputs = sorted(p.communicate(timeout=120)[0].split() for p in processes)
    digest = sha256(shop.told.content)
    assert outputs == [["False", digest], ["True", digest]]
    assert len(shop.told.requests) == 1


def test_a_folder_that_cannot_be_made_is_an_os_error(shop, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(OSError) as caught:
        cache.fetch(shop.entry)
    assert str(tmp_path / "cache") in str(caught.value)


def test_digest(tmp_path):
    data = np.random.default_rng(0).bytes(3_000_001)
    (tmp_path / "a").write_bytes(data)
    assert cache.digest(tmp_path / "a") == sha256(data)
