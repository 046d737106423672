"""Downloads: whole, cut, continued, and never glued together from two files."""

import json
import shutil
import socket
import threading
import urllib.request

import numpy as np
import pytest

from stylejax.pretrained import download
from tests.pretrained.weights_server import Behaviour, serving

SIZE = 1_000_000
CUT = 300_000


def content(seed, size=SIZE):
    return np.random.default_rng(seed).bytes(size)


@pytest.fixture
def server(monkeypatch):
    """(what the server is told, the address of a file on it)."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    told = Behaviour(content(0))
    with serving(told) as root:
        yield told, f"{root}/weights.pth"


@pytest.fixture
def part(tmp_path):
    return tmp_path / "weights.pth.part"


def cut(server, part, **options):
    """A first attempt that ends after CUT bytes."""
    told, address = server
    told.cut_after = CUT
    with pytest.raises(download.DownloadError) as caught:
        download.download(address, part, **options)
    told.cut_after = None
    assert part.read_bytes() == told.content[:CUT]
    return str(caught.value)


def test_a_fresh_download_is_the_file(server, part):
    told, address = server
    download.download(address, part)
    assert part.read_bytes() == told.content
    assert [("Range" in h, h["User-Agent"]) for h in told.requests] == [
        (False, "stylejax")
    ]
    download.discard(part)
    assert list(part.parent.iterdir()) == []
    download.discard(part)  # nothing is no mistake


def test_a_cut_download_says_so_and_goes_on_from_there(server, part):
    told, address = server
    text = cut(server, part)
    assert f"ended after {CUT} of {SIZE} bytes; the same command goes on" in text
    assert address in text
    download.download(address, part)
    assert part.read_bytes() == told.content
    assert told.requests[1]["Range"] == f"bytes={CUT}-"
    assert told.requests[1]["If-Range"] == told.tag
    assert told.answers == [(200, CUT), (206, SIZE - CUT)]


def test_it_may_be_cut_many_times(server, part):
    told, address = server
    told.cut_after = CUT
    for _ in range(SIZE // CUT):
        with pytest.raises(download.DownloadError, match="ended after"):
            download.download(address, part)
    download.download(address, part)
    assert part.read_bytes() == told.content
    assert [status for status, _ in told.answers] == [200, 206, 206, 206]


def test_a_server_without_ranges_sends_all_again(server, part):
    told, address = server
    told.ranges = False
    cut(server, part)
    download.download(address, part)
    assert part.read_bytes() == told.content
    assert told.answers == [(200, CUT), (200, SIZE)]


def changed(told, **behaviour):
    """The file on the server is another now."""
    new = behaviour.pop("size", SIZE)
    told.content = content(1, new)
    for name, value in behaviour.items():
        setattr(told, name, value)


@pytest.mark.parametrize("etag", [True, False])
@pytest.mark.parametrize("size", [SIZE, SIZE - 10, SIZE + 10, CUT, CUT - 1, 5])
def test_a_changed_file_is_never_glued_to_the_old_one(server, part, size, etag):
    told, address = server
    told.etag, told.modified = etag, "Mon, 01 Jan 2024 00:00:00 GMT"
    cut(server, part)
    changed(told, size=size, modified="Tue, 02 Jan 2024 00:00:00 GMT")
    download.download(address, part)
    assert part.read_bytes() == told.content


@pytest.mark.parametrize("size", [SIZE, SIZE + 10, CUT, 5])
def test_nor_where_the_server_knows_no_if_range(server, part, size):
    told, address = server
    told.if_range = False
    cut(server, part)
    changed(told, size=size)
    download.download(address, part)
    assert part.read_bytes() == told.content
    # The rest of another file was offered and refused.
    assert told.answers[1][0] == (206 if size > CUT else 416)


@pytest.mark.parametrize("size", [SIZE + 10, CUT, 5])
def test_nor_where_only_the_length_tells(server, part, size):
    told, address = server
    told.etag = False
    cut(server, part)
    changed(told, size=size)
    download.download(address, part)
    assert part.read_bytes() == told.content
    assert "If-Range" not in told.requests[1]


def test_a_date_serves_where_there_is_no_tag(server, part):
    told, address = server
    told.etag, told.modified = False, "Mon, 01 Jan 2024 00:00:00 GMT"
    cut(server, part)
    download.download(address, part)
    assert part.read_bytes() == told.content
    assert told.requests[1]["If-Range"] == told.modified
    assert told.answers[1] == (206, SIZE - CUT)


def test_a_weak_tag_is_no_condition_but_tells_a_change(server, part):
    told, address = server
    told.weak = True
    cut(server, part)
    download.download(address, part)
    assert part.read_bytes() == told.content
    assert "If-Range" not in told.requests[1]
    assert told.answers[1][0] == 206
    download.discard(part)
    cut(server, part)
    changed(told)
    download.download(address, part)
    assert part.read_bytes() == told.content


@pytest.mark.parametrize(
    "note",
    [
        None,
        "",
        "[]",
        '{"address": 1}',
        '{"address": "ADDRESS", "total": "7", "etag": "", "modified": ""}',
        json.dumps({"address": "http://b/", "total": SIZE, "etag": "", "modified": ""}),
    ],
)
def test_bytes_of_unknown_origin_are_not_used(server, part, note):
    told, address = server
    part.write_bytes(content(7, CUT))
    if note is not None:
        beside = part.with_name(part.name + ".json")
        beside.write_text(note.replace("ADDRESS", address))
    download.download(address, part)
    assert part.read_bytes() == told.content
    assert "Range" not in told.requests[0]


def test_a_part_longer_than_its_file_is_not_used(server, part):
    told, address = server
    cut(server, part)
    part.write_bytes(content(7, SIZE + 1))
    download.download(address, part)
    assert part.read_bytes() == told.content
    assert "Range" not in told.requests[1]


def test_a_part_that_is_whole_needs_no_server(server, part):
    told, address = server
    download.download(address, part)
    told.status = 500
    download.download(address, part)
    assert len(told.requests) == 1


def test_a_note_never_describes_older_bytes(server, part, monkeypatch):
    """The disk fills up between the new note and the first new byte."""
    told, address = server
    cut(server, part)
    changed(told)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download, "_copy", full)
    with pytest.raises(OSError, match="No space"):
        download.download(address, part)
    monkeypatch.undo()
    assert part.read_bytes() == b""
    note = json.loads(part.with_name(part.name + ".json").read_text())
    assert note["etag"] == told.tag


def test_without_a_length_it_works_and_starts_again_when_cut(server, part):
    told, address = server
    told.length = False
    download.download(address, part)
    assert part.read_bytes() == told.content
    told.content = content(2)
    download.download(address, part)
    assert part.read_bytes() == told.content
    assert all("Range" not in headers for headers in told.requests)


def test_more_than_expected_does_not_fill_the_disk(server, part):
    told, address = server
    with pytest.raises(download.DownloadError, match="1000000 bytes, expected 999999"):
        download.download(address, part, max_bytes=SIZE - 1)
    assert not part.exists()
    download.download(address, part, max_bytes=SIZE)
    download.discard(part)
    told.length = False
    with pytest.raises(download.DownloadError, match="sends more than 500000 bytes"):
        download.download(address, part, max_bytes=SIZE // 2)
    assert part.stat().st_size <= SIZE // 2


def test_a_full_disk_is_seen_before(server, part, monkeypatch):
    told, address = server
    usage = shutil.disk_usage(part.parent)._replace(free=SIZE - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(OSError, match=f"room for {SIZE - 1} bytes, {SIZE} are to come"):
        download.download(address, part)
    usage = usage._replace(free=SIZE)
    download.download(address, part)
    assert part.read_bytes() == told.content


def test_a_refusal_is_one_line_and_keeps_what_has_come(server, part):
    told, address = server
    cut(server, part)
    told.status = 404
    with pytest.raises(download.DownloadError) as caught:
        download.download(address, part)
    assert str(caught.value) == f"{address} answered 404 Not Found"
    assert part.stat().st_size == CUT


def test_an_address_out_of_reach_is_named(part, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(Behaviour()) as root:
        pass  # its port is free again
    with pytest.raises(download.DownloadError, match="cannot reach http.*refused"):
        download.download(f"{root}/a", part)


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://a/b", "a.pth", ""])
def test_other_addresses_are_refused(part, address):
    with pytest.raises(download.DownloadError, match="expected an address of https"):
        download.download(address, part)


def test_a_safe_address_must_not_lead_to_an_unsafe_one(server, part, monkeypatch):
    told, address = server
    real = urllib.request.urlopen

    def redirected(request, timeout):
        return real(address, timeout=timeout)

    monkeypatch.setattr(urllib.request, "urlopen", redirected)
    with pytest.raises(download.DownloadError, match="leads to http://.* not safe"):
        download.download("https://example.org/weights.pth", part)
    assert not part.exists()


@pytest.mark.parametrize(("progress", "drawn"), [(True, True), (False, False)])
def test_the_bar_is_named_and_can_be_left_out(
    server, part, monkeypatch, capsys, progress, drawn
):
    told, address = server
    cut(server, part, progress=False)
    import sys

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    download.download(address, part, label="vgg19", progress=progress)
    text = capsys.readouterr().err
    assert ("vgg19" in text and "1.00M/1.00M" in text) == drawn


def test_a_server_that_falls_silent_is_given_up(server, part, monkeypatch):
    told, address = server
    told.pause = 1.0
    monkeypatch.setattr(download, "_TIMEOUT_SECONDS", 0.2)
    with pytest.raises(download.DownloadError, match="timed out.*are kept, the same"):
        download.download(address, part)
    told.pause = 0.0
    download.download(address, part)
    assert part.read_bytes() == told.content
    assert told.answers[1][0] == 206


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "without response"),
        (b"SSH-2.0-OpenSSH\r\n", "SSH"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n", "headers"),
        (CHUNKED + b"5\r\nhello\r\n9\r\nmore", "IncompleteRead"),
        (CHUNKED + b"no number\r\n", "IncompleteRead"),
        (b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n", "302"),
    ],
)
def test_what_is_no_web_server_is_one_line(part, monkeypatch, answer, reason):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def speak():
            connection, _ = listener.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(answer)

        thread = threading.Thread(target=speak)
        thread.start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/a"
        with pytest.raises(download.DownloadError) as caught:
            download.download(address, part)
        thread.join()
    text = str(caught.value)
    assert reason in text and address in text and "\n" not in text
