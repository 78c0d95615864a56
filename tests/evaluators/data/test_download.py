"""Downloads from a server on this machine that cuts connections, errs and resumes as real ones do."""

from __future__ import annotations

import hashlib
import io
import pickle
import re
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest

from evaluators import DataSettings, load, load_test
from evaluators.data.download import download
from evaluators.data.files.cifar import ARCHIVES, Archive

CONTENT = np.random.default_rng(0).bytes(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    content = CONTENT
    cut_after: list[int]  # bytes that each of the next answers ends after
    errors: list[int]
    resumes = True
    requested: list[str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/file.bin"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range", "")
        self.server.requested.append(asked)
        if self.server.errors:
            self.send_error(self.server.errors.pop(0))
            return
        start = (
            int(match[1])
            if self.server.resumes and (match := re.match(r"bytes=(\d+)-", asked))
            else 0
        )
        body = self.server.content[start:]
        if start and not body:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(
            body[: self.server.cut_after.pop(0)] if self.server.cut_after else body
        )

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        server.cut_after, server.errors, server.requested = [], [], []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_file_comes_whole_with_progress_and_only_once(
    server: Server, tmp_path: Path
) -> None:
    path, told = tmp_path / "new" / "file.bin", []
    for _ in range(2):
        assert (
            download(
                server.url, path, sha256=SHA256, progress=lambda *now: told.append(now)
            )
            == path
        )
    assert path.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert told == sorted(told)
    assert len(server.requested) == 1


def test_cut_connections_are_taken_up_where_they_ended(
    server: Server, tmp_path: Path
) -> None:
    server.cut_after = [1_000_000, 500_000]
    checksum = hashlib.md5(CONTENT).hexdigest()  # noqa: S324 - as CIFAR-10's sum is
    path = download(server.url, tmp_path / "file.bin", md5=checksum)
    assert path.read_bytes() == CONTENT
    assert server.requested == ["", "bytes=1000000-", "bytes=1500000-"]


def test_a_later_start_goes_on_where_an_earlier_one_gave_up(
    server: Server, tmp_path: Path
) -> None:
    path = tmp_path / "file.bin"
    server.cut_after = [700_000]
    with pytest.raises(
        OSError, match=r"cannot be downloaded .*; start again to continue"
    ):
        download(server.url, path, sha256=SHA256, attempts=1)
    assert not path.exists()
    assert download(server.url, path, sha256=SHA256).read_bytes() == CONTENT
    assert server.requested[1] == "bytes=700000-"


def test_a_server_that_cannot_resume_sends_everything_again(
    server: Server, tmp_path: Path
) -> None:
    server.cut_after, server.resumes = [1_000_000], False
    assert (
        download(server.url, tmp_path / "file.bin", sha256=SHA256).read_bytes()
        == CONTENT
    )


def test_passing_trouble_of_the_server_is_waited_out(
    server: Server, tmp_path: Path
) -> None:
    server.errors = [503, 500]
    started = perf_counter()
    assert (
        download(server.url, tmp_path / "file.bin", sha256=SHA256).read_bytes()
        == CONTENT
    )
    assert 0.2 + 0.6 <= perf_counter() - started < 5


def test_what_was_already_whole_needs_no_more(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT)
    assert (
        download(server.url, tmp_path / "file.bin", sha256=SHA256).read_bytes()
        == CONTENT
    )


def test_a_wrong_checksum_leaves_no_file(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has not the expected checksum"):
        download(server.url, tmp_path / "file.bin", sha256="0" * 64)
    assert [path.name for path in tmp_path.iterdir()] == [".file.bin.lock"]


@pytest.mark.parametrize("code", [403, 404])
def test_an_address_that_is_wrong_is_said_at_once(
    server: Server, tmp_path: Path, code: int
) -> None:
    server.errors = [code]
    with pytest.raises(ValueError, match=rf"file\.bin: HTTP {code}"):
        download(server.url, tmp_path / "file.bin")
    assert len(server.requested) == 1


def test_no_other_kind_of_address(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="neither http:// nor https://"):
        download("file:///etc/hostname", tmp_path / "file.bin")


def test_cifar_is_fetched_unpacked_and_loaded(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name in ("train", "test"):
            data = (
                np.arange(400 * 3072, dtype=np.uint32)
                .astype(np.uint8)
                .reshape(400, 3072)
            )
            content = pickle.dumps(
                {"data": data, "fine_labels": [*range(100)] * 4}, protocol=2
            )
            member = tarfile.TarInfo(f"cifar-100-python/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    server.content = archive.getvalue()
    checksum = hashlib.md5(server.content).hexdigest()  # noqa: S324 - as CIFAR-10's sum is
    monkeypatch.setitem(ARCHIVES, "cifar100", Archive(server.url, checksum))
    settings = DataSettings("cifar100", download=True, cache=str(tmp_path))
    told = []
    dataset = load(settings, progress=lambda what, done, total: told.append(what))
    assert (dataset.task.num_classes, len(dataset.train.labels)) == (100, 300)
    assert len(load_test(settings).labels) == 400
    assert told[0] == "downloading cifar100"
    assert len(server.requested) == 1
    assert not list(tmp_path.rglob("*.bin"))
