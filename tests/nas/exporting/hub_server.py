"""A hub on the loopback interface: as much of Hugging Face's HTTP interface as ``huggingface_hub`` uses.

Weights travel by git LFS, the other files within the commit, as there.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

TOKEN = "hf_of_the_test"  # noqa: S105 - of no real hub
NAME = r"(?P<repo>[\w.-]+/[\w.-]+)"
COMMIT = "c0ffee" + 34 * "0"


class Hub(ThreadingHTTPServer):
    """``repos``: the files of each repository; ``cards``: the YAML that was sent to be checked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repos: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.large: dict[str, bytes] = {}
        self.cards: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def running_hub() -> Iterator[Hub]:
    with Hub() as hub:
        Thread(target=hub.serve_forever, args=(0.02,), daemon=True).start()
        yield hub
        hub.shutdown()


class Handler(BaseHTTPRequestHandler):
    """Each request by the first pattern that fits it."""

    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the test's output is for its failures."""

    def do_POST(self) -> None:
        body = self._body()
        path = urlsplit(self.path).path
        if path == "/api/validate-yaml":
            self.server.cards.append(json.loads(body)["content"])
            return self._json({"errors": [], "warnings": []})
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._json({"error": "Invalid credentials"}, 401)
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if found := re.fullmatch(rf"/api/models/{NAME}/preupload/main", path):
            return self._json(
                {"files": [_mode(each) for each in json.loads(body)["files"]]}
            )
        if found := re.fullmatch(rf"/{NAME}\.git/info/lfs/objects/batch", path):
            return self._json({"transfer": "basic", "objects": [
                {**each, "actions": {"upload": {"href": f"{self.server.address}/lfs/{each['oid']}"}}}
                for each in json.loads(body)["objects"]
            ]})  # fmt: skip
        if found := re.fullmatch(rf"/api/models/{NAME}/commit/main", path):
            return self._commit(found["repo"], body.splitlines())
        return self._json({"error": f"POST {path}"}, 404)

    def do_PUT(self) -> None:
        body, name = self._body(), self.path.removeprefix("/lfs/")
        assert hashlib.sha256(body).hexdigest() == name
        self.server.large[name] = body
        self._json({})

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        found = re.fullmatch(
            rf"(/api/models)?/{NAME}(/(?P<what>\w+)/(?P<at>\w+)(/(?P<file>.+))?)?", path
        )
        if not found or found["repo"] not in self.server.repos:
            return self._json({"error": "Repository not found"}, 404, "RepoNotFound")
        if found["at"] not in (None, "main", COMMIT):
            return self._json({"error": "Invalid rev id"}, 404, "RevisionNotFound")
        files = self.server.repos[found["repo"]]
        if found["what"] == "tree":
            return self._json(
                [_entry(name, content) for name, content in files.items()]
            )
        if found["what"] == "resolve":
            return self._file(files[found["file"]])
        names = [{"rfilename": name} for name in files]
        return self._json({"id": found["repo"], "sha": COMMIT, "siblings": names})

    def do_HEAD(self) -> None:
        self.do_GET()

    def _create(self, wanted: dict[str, Any]) -> None:
        repo = f"{wanted['organization']}/{wanted['name']}"
        status = 409 if repo in self.server.repos else 200
        self.server.repos.setdefault(repo, {})
        self.server.private[repo] = wanted.get("visibility") == "private"
        self._json({"url": f"{self.server.address}/{repo}"}, status)

    def _commit(self, repo: str, lines: list[bytes]) -> None:
        files = self.server.repos[repo]
        for line in map(json.loads, lines):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.large[value["oid"]]
        url = f"{self.server.address}/{repo}/commit/{COMMIT}"
        self._json({"success": True, "commitOid": COMMIT, "commitUrl": url})

    def _file(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self._send(content, "application/octet-stream")

    def _json(self, answer: object, status: int = 200, code: str = "") -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
            self.send_header("X-Error-Message", str(answer))
        self._send(json.dumps(answer).encode(), "application/json")

    def _send(self, content: bytes, kind: str) -> None:
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)


def _mode(file: dict[str, Any]) -> dict[str, Any]:
    large = file["path"].endswith((".safetensors", ".onnx", ".pt2"))
    mode = "lfs" if large else "regular"
    return {"path": file["path"], "uploadMode": mode, "shouldIgnore": False}


def _entry(name: str, content: bytes) -> dict[str, Any]:
    oid = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    return {"type": "file", "path": name, "size": len(content), "oid": oid}
