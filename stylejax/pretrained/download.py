"""A file from an address, continued where an earlier attempt was cut.

What has come lies in a part file, with a note beside it of what it is the beginning of:
address, length, ETag and date. Bytes are appended only if the server still has that
very file; where it cannot tell, or has another, the download starts again.
"""

import dataclasses
import http.client
import json
import os
import re
import shutil
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import tqdm

_BLOCK = 1 << 18
_TIMEOUT_SECONDS = 30.0
_UNREACHABLE = (
    urllib.error.URLError,
    http.client.HTTPException,
    TimeoutError,
    ConnectionError,
    ssl.SSLError,
)


class DownloadError(OSError):
    """An address that gave no file, or not all of it."""


@dataclasses.dataclass(frozen=True)
class _Note:
    """What a part file is the beginning of."""

    address: str
    total: int | None
    etag: str
    modified: str

    @property
    def can_resume(self) -> bool:
        return self.total is not None


def download(
    address: str,
    part: str | os.PathLike,
    *,
    max_bytes: int | None = None,
    label: str = "",
    progress: bool = True,
) -> None:
    """Fills `part` with what lies at the address; returns once it is whole.

    Args:
        address: http or https.
        part: the part file; its note lies beside it, see `discard`.
        max_bytes: more than this is refused before it fills the disk.
        label: what the progress bar is called.
        progress: whether to draw one, where standard error is a terminal.

    Raises:
        DownloadError: the address cannot be reached, refuses, sends more than
            `max_bytes`, or ended early; what has come stays for the next attempt.
        OSError: the part file cannot be written, or the disk is too small.
    """
    part = Path(part)
    note = _kept_note(part, address)
    kept = part.stat().st_size if note else 0
    if note and note.total == kept:  # stopped between the last byte and the renaming
        return
    try:
        with _open_at(address, note, kept) as response:
            start = kept if response.status == 206 else 0
            total = _total(response)
            _check_room(part, address, start, total, max_bytes)
            with part.open("ab" if start else "wb") as file:
                if not start:
                    # Older bytes are gone by now: a note must never describe those.
                    _write_note(part, _note_of(response, address, total))
                bar = tqdm.tqdm(
                    total=total,
                    initial=start,
                    desc=label or None,
                    unit="B",
                    unit_scale=True,
                    disable=None if progress else True,
                )
                with bar:
                    _copy(response, file, bar.update, address, start, total, max_bytes)
    except urllib.error.HTTPError as error:
        error.close()
        raise DownloadError(f"{address} answered {error.code} {error.reason}") from None
    except _UNREACHABLE as error:
        reason = " ".join(str(getattr(error, "reason", "") or error).split())
        raise DownloadError(
            f"cannot reach {address} ({reason or type(error).__name__}){_again(part)}"
        ) from None


def discard(part: str | os.PathLike) -> None:
    """Removes a part file and its note, where there are any.

    Args:
        part: as `download` took it.
    """
    for path in (Path(part), _note_path(Path(part))):
        path.unlink(missing_ok=True)


def _open_at(address: str, note: _Note | None, kept: int) -> Any:
    """A response that goes on from `kept` (status 206) or brings the whole file."""
    if note and kept:
        try:
            response = _request(address, _range_headers(note, kept))
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != 416:  # 416: the file there is shorter by now
                raise
        else:
            if response.status == 200 or _continues(response, note, kept):
                return response
            response.close()
    response = _request(address, {})
    if response.status != 200:
        response.close()
        raise DownloadError(f"{address} answered {response.status}, expected 200")
    return response


def _request(address: str, headers: dict[str, str]) -> Any:
    if not address.startswith(("https://", "http://")):
        raise DownloadError(f"expected an address of https, got {address!r}")
    request = urllib.request.Request(
        address, headers={"User-Agent": "stylejax", **headers}
    )
    response = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)
    if address.startswith("https:") and not response.url.startswith("https:"):
        response.close()
        raise DownloadError(f"{address} leads to {response.url}, which is not safe")
    return response


def _range_headers(note: _Note, kept: int) -> dict[str, str]:
    headers = {"Range": f"bytes={kept}-"}
    # A weak tag may stand for other bytes; servers ignore it here.
    strong = "" if note.etag.startswith("W/") else note.etag
    if strong or note.modified:
        headers["If-Range"] = strong or note.modified
    return headers


def _continues(response: Any, note: _Note, kept: int) -> bool:
    """Whether these are the next bytes of the file that the part is from.

    A server that knows nothing of If-Range would send the rest of another file.
    """
    found = re.fullmatch(
        r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", "").strip()
    )
    if not found or (int(found[1]), int(found[2])) != (kept, note.total):
        return False
    now = _note_of(response, note.address, note.total)
    # RFC 9110 asks for the tag here, and lets servers leave out the date.
    return now.etag == note.etag and now.modified in ("", note.modified)


def _total(response: Any) -> int | None:
    """Bytes of the whole file; None where the server does not say."""
    if response.status == 206:
        return int(response.headers["Content-Range"].rsplit("/", 1)[-1])
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


def _check_room(
    part: Path, address: str, start: int, total: int | None, max_bytes: int | None
) -> None:
    if total is None:
        return
    if max_bytes is not None and total > max_bytes:
        raise DownloadError(
            f"{address} has {total} bytes, expected {max_bytes} at most: another file"
        )
    free = shutil.disk_usage(part.parent).free + (0 if start else _size(part))
    if total - start > free:
        raise OSError(
            f"{part.parent} has room for {free} bytes, {total - start} are to come"
        )


def _copy(response, file, update, address, start, total, max_bytes) -> None:
    received = start
    while block := response.read1(_BLOCK):  # what has come, without waiting for more
        received += len(block)
        if max_bytes is not None and received > max_bytes:
            raise DownloadError(f"{address} sends more than {max_bytes} bytes")
        file.write(block)
        update(len(block))
    file.flush()
    os.fsync(file.fileno())
    if total is not None and received < total:
        raise DownloadError(
            f"{address} ended after {received} of {total} bytes"
            "; the same command goes on from there"
        )


def _again(part: Path) -> str:
    note = _read_note(part)
    kept = _size(part)
    if not kept or not note or not note.can_resume:
        return ""
    return f"; {kept} of {note.total} bytes are kept, the same command goes on"


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _note_path(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _note_of(response: Any, address: str, total: int | None) -> _Note:
    headers = response.headers
    etag, modified = headers.get("ETag", ""), headers.get("Last-Modified", "")
    return _Note(address, total, etag, modified)


def _write_note(part: Path, note: _Note) -> None:
    _note_path(part).write_text(json.dumps(dataclasses.asdict(note)), encoding="utf-8")


def _read_note(part: Path) -> _Note | None:
    try:
        values = json.loads(_note_path(part).read_text(encoding="utf-8"))
        note = _Note(**values)
    except (OSError, ValueError, TypeError):  # none, or one that was cut
        return None
    return note if isinstance(note.total, int | None) else None


def _kept_note(part: Path, address: str) -> _Note | None:
    """The note, if the part file is worth going on with."""
    note = _read_note(part)
    if note is None or note.address != address or not note.can_resume:
        return None
    return note if 0 < _size(part) <= (note.total or 0) else None
