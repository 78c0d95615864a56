"""The report of a running search, served to this machine only and kept up to date."""

from __future__ import annotations

import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from nas.runs.stages import stage_reader
from results import load_run
from results.log.event_log import last_event
from results.log.reading import DamagedLogError
from results.report.overlay import overlay
from results.report.page_data import page_data
from results.report.report import page, script_json

LOOPBACK = "127.0.0.1"
HTTP_PORT = 80
REST = 4
"""After working the data out, wait this many times as long: the search needs the processor more."""


class LiveReport:
    """The data of a run's page, worked out again when the event log has grown; safe to share by threads."""

    def __init__(self, folder: Path, against: str | None = None) -> None:
        self.folder = folder
        self._against = against
        self._lock = threading.Lock()
        self._tag = ""
        self._data = ""
        self._page = ""
        self._not_before = 0.0

    def current(self) -> tuple[str, str, str]:
        """A tag that names the state, the data as JSON, the page. Raises ``ValueError`` as ``load_run``."""
        with self._lock:
            if (
                time.monotonic() >= self._not_before
                and (tag := self._newest()) != self._tag
            ):
                self._work_out(tag)
            return self._tag, self._data, self._page

    def _newest(self) -> str:
        log = self.folder / "events.db"
        with suppress(DamagedLogError):
            if log.exists():
                event = last_event(log)
                return f'"{event[0]}-{event[1]}"' if event else '"empty"'
        # a log that was cut off, or tables without a log: how the files look tells whether they changed
        marks = [
            path.stat()
            for path in (log, self.folder / "trials.parquet")
            if path.exists()
        ]
        return '"' + "-".join(f"{m.st_mtime_ns}-{m.st_size}" for m in marks) + '"'

    def _work_out(self, tag: str) -> None:
        began = time.monotonic()
        with warnings.catch_warnings():
            # the page itself says what a damaged log lost
            warnings.simplefilter("ignore", UserWarning)
            run = load_run(self.folder)
        against = overlay(run, self._against) if self._against else None
        data = page_data(run, stages=stage_reader(run), against=against) | {
            "live": True
        }
        self._tag = tag
        self._data = script_json(data)
        title = self.folder.resolve().name
        self._page = page(data, title=title)
        took = time.monotonic() - began
        self._not_before = time.monotonic() + REST * took


class Handler(BaseHTTPRequestHandler):
    """Two addresses, read only: the page and its data. Nothing is read from the path that is asked for."""

    report: LiveReport
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if not self._addressed_here():
            self._answer(
                HTTPStatus.FORBIDDEN, "this report is served to its own machine only"
            )
        elif self.path not in ("/", "/data.json"):
            self._answer(HTTPStatus.NOT_FOUND, "there are / and /data.json")
        else:
            self._report()

    def _addressed_here(self) -> bool:
        """A foreign site's name that resolves to this machine (DNS rebinding) must not read the report."""
        port = self.connection.getsockname()[1]
        # browsers leave out the port that http has by default
        ports = ("", f":{port}") if port == HTTP_PORT else (f":{port}",)
        names = [f"{host}{end}" for host in (LOOPBACK, "localhost") for end in ports]
        return self.headers.get("Host") in names

    def _report(self) -> None:
        try:
            tag, data, html = self.report.current()
        except (
            ValueError,
            OSError,
        ) as error:  # the run is empty yet, say: the page asks again
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, str(error), Refresh="2")
            return
        if self.path == "/":
            self._answer(HTTPStatus.OK, html, kind="text/html")
        # the page asks every few seconds, and mostly nothing is new
        elif self.headers.get("If-None-Match") == tag:
            self._answer(HTTPStatus.NOT_MODIFIED, "", ETag=tag)
        else:
            self._answer(HTTPStatus.OK, data, kind="application/json", ETag=tag)

    def _answer(
        self, status: HTTPStatus, text: str, kind: str = "text/plain", **headers: str
    ) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the terminal is for the address."""


class ReportServer(ThreadingHTTPServer):
    """A tab that is closed while it is answered is nothing to speak of."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def make_server(
    folder: Path, port: int = 0, against: str | None = None
) -> ReportServer:
    """A server of the run's report on the loopback interface; port 0 takes a free one.

    Raises:
        ValueError: if there is no run to show, it does not compare, or the port is taken.
    """
    if not (folder / "events.db").is_file() or against:
        load = load_run(folder)
        if against:
            overlay(load, against)
    # http.server makes its handlers itself and passes them nothing
    handler = type("ReportHandler", (Handler,), {"report": LiveReport(folder, against)})
    try:
        return ReportServer((LOOPBACK, port), handler)
    except (OSError, OverflowError) as error:
        raise ValueError(f"--port {port}: {error}") from error


def watch(
    folder: Path, port: int, against: str | None, announce: Callable[[str], None]
) -> None:
    """Serve until Ctrl-C; ``announce`` is told the address."""
    with make_server(folder, port, against) as server:
        try:
            announce(f"http://{LOOPBACK}:{server.server_address[1]}/")
            server.serve_forever()
        except KeyboardInterrupt:
            return
