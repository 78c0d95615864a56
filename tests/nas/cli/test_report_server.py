"""The live report over HTTP, as a browser or a hostile page asks for it."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

import run_search
from nas.cli.report_server import make_server
from results import EventLog
from results.runs.loading import FRONTS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    EventLog(folder / "events.db").close()
    return folder


@contextmanager
def served(folder: Path) -> Iterator[int]:
    with make_server(folder) as server:
        thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.02}
        )
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def port(folder: Path) -> Iterator[int]:
    with served(folder) as port:
        yield port


def ask(
    port: int, path: str = "/data.json", method: str = "GET", **headers: str
) -> tuple[int, str, str | None]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(
        method,
        path,
        headers={name.replace("_", "-"): text for name, text in headers.items()},
    )
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body, answer.headers["ETag"]


def begin(folder: Path) -> None:
    with EventLog(folder / "events.db") as log:
        log.append(
            "search_started", config={"trials": 3}, objectives={"accuracy": "max"}
        )
        log.append(
            "proposed", 0, arch_id="x", space="resnest", arch=None, knobs={}, seed=0
        )


def test_data_come_once_and_again_when_the_log_has_grown(
    folder: Path, port: int
) -> None:
    begin(folder)
    status, body, tag = ask(port)
    assert (status, json.loads(body)["live"]) == (200, True)
    assert tag
    assert ask(port, If_None_Match=tag)[:2] == (304, "")
    assert ask(port, "/")[1].startswith("<!DOCTYPE html>")


def test_an_empty_run_is_waited_for(folder: Path, port: int) -> None:
    status, body, _ = ask(port, "/")
    assert (status, "the run is empty" in body) == (503, True)
    begin(folder)
    assert ask(port, "/")[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1", "localhost:1", ""]
)
def test_another_name_for_this_machine_is_refused(
    folder: Path, port: int, host: str
) -> None:
    begin(folder)
    assert ask(port, Host=host)[:2] == (
        403,
        "this report is served to its own machine only",
    )
    assert ask(port, Host=f"localhost:{port}")[0] == 200


def test_a_browser_leaves_out_the_port_of_http(
    folder: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(folder)
    assert ask(port, Host="localhost")[0] == 403
    monkeypatch.setattr("nas.cli.report_server.HTTP_PORT", port)
    assert [ask(port, Host=name)[0] for name in ("localhost", "127.0.0.1")] == [200] * 2
    assert ask(port, Host="evil.example")[0] == 403


def test_a_published_front_has_no_log_and_is_served(tmp_path: Path) -> None:
    folder = shutil.copytree(FRONTS / "cifar10-small", tmp_path / "front")
    with served(folder) as port:
        status, body, tag = ask(port)
        assert (status, len(json.loads(body)["trials"]["trial"])) == (200, 102)
        assert tag
        assert ask(port, If_None_Match=tag)[0] == 304


@pytest.mark.filterwarnings("error")
def test_a_log_that_was_cut_off_is_served_and_says_so(folder: Path) -> None:
    with EventLog(folder / "events.db") as log:
        log.append("search_started", config={}, objectives={"accuracy": "max"})
        for trial in range(200):
            log.append("proposed", trial, arch_id="x" * 200, space="s", knobs={})
    path = folder / "events.db"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with served(folder) as port:
        status, body, _ = ask(port)
        assert status == 200
        assert "Take care" in " ".join(json.loads(body)["summary"])


def test_a_tab_that_closes_leaves_no_trace(
    folder: Path, port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(folder)
    ask(port, "/")
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", port)) as tab:
            # closed with data unread: the answer of 5 MB meets a reset
            tab.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            tab.sendall(f"GET / HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode())
            tab.recv(1000)
    assert ask(port)[0] == 200
    time.sleep(0.2)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "path", ["/events.db", "/../../etc/passwd", "/data.json?x=1", "/%2e%2e/"]
)
def test_no_file_is_served(port: int, path: str) -> None:
    assert ask(port, path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_it_only_answers_get(port: int, method: str) -> None:
    assert ask(port, "/", method)[0] == 501


def test_it_listens_to_this_machine_alone(folder: Path) -> None:
    with make_server(folder) as server:
        assert server.server_address[0] == "127.0.0.1"


def test_a_taken_port_and_no_run_are_named(
    folder: Path, port: int, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=f"--port {port}: "):
        make_server(folder, port)
    with pytest.raises(ValueError, match="no such run folder"):
        make_server(tmp_path / "none")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--watch", "--out", "x.html"], "leave out --out"),
        (["--port", "80"], "--port is for --watch"),
        (
            ["--against", "imagenet"],
            "--against imagenet: the public models are trained on ImageNet, this run on",
        ),
        (
            ["--watch", "--against", "imagenet"],
            "--against imagenet: the public models are trained on ImageNet",
        ),
        (["--against", "cifar"], "--against cifar: unknown"),
    ],
)
def test_what_the_command_cannot_do_is_one_line(
    folder: Path, arguments: list[str], message: str
) -> None:
    begin(folder)
    result = CliRunner().invoke(run_search.main, ["report", str(folder), *arguments])
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_status_prints_plain_lines(folder: Path) -> None:
    begin(folder)
    result = CliRunner().invoke(run_search.main, ["status", str(folder)])
    assert result.exit_code == 0, result.output
    assert "0 of 3 trials done (1 running)" in result.stdout
    assert "no front: no network has been trained to the end yet" in result.stdout
    assert "\x1b" not in result.stdout


def test_status_of_no_run_is_one_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(run_search.main, ["status", str(tmp_path / "none")])
    assert (result.exit_code, "no such run folder" in result.stderr) == (2, True)
