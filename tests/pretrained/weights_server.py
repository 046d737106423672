"""A web server on this machine that can be told to misbehave."""

import contextlib
import dataclasses
import hashlib
import http.server
import threading
import time


@dataclasses.dataclass
class Behaviour:
    """How the server answers; tests change it between requests."""

    content: bytes = b""
    ranges: bool = True  # knows Range
    if_range: bool = True  # knows If-Range
    etag: bool = True
    weak: bool = False
    modified: str = ""
    length: bool = True  # says how long the answer is
    cut_after: int | None = None  # closes the connection after so many bytes
    pause: float = 0.0  # seconds between pieces of the answer
    status: int = 200
    requests: list = dataclasses.field(default_factory=list)  # headers, as they came
    answers: list = dataclasses.field(default_factory=list)  # (status, bytes sent)

    @property
    def tag(self):
        weak = "W/" if self.weak else ""
        return f'{weak}"{hashlib.sha256(self.content).hexdigest()[:12]}"'


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with `server.behaviour.content`, whatever the path."""

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        told = self.server.behaviour
        told.requests.append(dict(self.headers))
        if told.status != 200:
            self.send_error(told.status)
            return
        start, status = self._start(told), 200
        if start is not None and start >= len(told.content):
            told.answers.append((416, 0))
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(told.content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if start is not None:
            status = 206
        body = told.content[start or 0 :]
        sent = body if told.cut_after is None else body[: told.cut_after]
        told.answers.append((status, len(sent)))  # before the client can see a byte
        self.send_response(status)
        if status == 206:
            last = len(told.content) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{last + 1}")
        if told.length:
            self.send_header("Content-Length", str(len(body)))
        if told.etag:
            self.send_header("ETag", told.tag)
        if told.modified and not (status == 206 and "If-Range" in self.headers):
            self.send_header("Last-Modified", told.modified)
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            for i in range(0, len(sent), 1 << 14):
                self.wfile.write(sent[i : i + (1 << 14)])
                time.sleep(told.pause)

    def _start(self, told):
        """Where the range begins, or None for the whole content."""
        if not told.ranges or "Range" not in self.headers:
            return None
        condition = self.headers.get("If-Range")
        current = (told.tag if not told.weak else None, told.modified)
        if told.if_range and condition and condition not in current:
            return None
        return int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))


@contextlib.contextmanager
def serving(behaviour):
    """The address of a server that answers as `behaviour` says at the time."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.behaviour = behaviour
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}
    )
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
