"""Files from the network: whole and verified, or absent."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from time import sleep

from evaluators.lease import alone

CHUNK_BYTES = 1 << 20
TIMEOUT_SECONDS = 30
FIRST_PAUSE_SECONDS = 0.2
PAUSE_GROWS = 3
"""Times the pause before; five attempts wait 8 seconds in all, in which a server may come back."""


def download(
    url: str,
    path: Path,
    *,
    sha256: str | None = None,
    md5: str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    attempts: int = 5,
) -> Path:
    """Fetch ``url`` into ``path``, unless it is there and right; what came before an interruption is kept.

    A cut connection is taken up where it ended, up to ``attempts`` times, and so is a download that an earlier
    process began. ``progress`` is told bytes done and in all (0 where the server does not say). Two processes
    that want the same file do not fetch it twice. A checksum may be given by its first digits.

    Raises:
        ValueError: if the address answers with an error, or the content has not the given checksum.
        OSError: if the connection fails for good, or the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with alone(path.with_name(f".{path.name}.lock")):
        # the second to come finds the file there
        if path.exists() and _is_right(path, sha256, md5):
            return path
        _fetch_patiently(url, part, progress, attempts)
        if not _is_right(part, sha256, md5):
            part.unlink()
            raise ValueError(
                f"{url}: what came has not the expected checksum; it was deleted, try again"
            )
        part.replace(path)
    return path


CUT_OFF = (HTTPException, urllib.error.URLError, TimeoutError, ConnectionError)
"""What another attempt may mend."""


def _fetch_patiently(
    url: str, part: Path, progress: Callable[[int, int], None], attempts: int
) -> None:
    """``_fetch``, and again after a pause each time the connection is cut."""
    for attempt in range(attempts):
        try:
            _fetch(url, part, progress)
            return
        except CUT_OFF as error:
            if attempt == attempts - 1:
                raise OSError(
                    f"{url}: cannot be downloaded ({error}); start again to continue"
                ) from error
            # 0.2, 0.6, 1.8 and 5.4 s
            sleep(FIRST_PAUSE_SECONDS * PAUSE_GROWS**attempt)


def _fetch(url: str, part: Path, progress: Callable[[int, int], None]) -> None:
    """Append to ``part`` what is missing of it."""
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url}: neither http:// nor https://")
    done = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={done}-"} if done else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - checked above
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)  # noqa: S310 - so is this
    except urllib.error.HTTPError as error:
        error.close()
        # nothing is missing, or what is there is another file's: the sum tells
        if error.code == 416 and done:
            return
        said = f"HTTP {error.code} {error.reason}"
        # a server's own trouble may pass
        if error.code >= 500:
            raise ConnectionError(said) from error
        raise ValueError(f"{url}: {said}") from error
    with response:
        # a server without ranges answers 200 and sends all of it
        resumed = response.status == 206
        _append(response, part, done if resumed else 0, progress)


def _append(
    response: HTTPResponse, part: Path, done: int, progress: Callable[[int, int], None]
) -> None:
    expected = response.headers.get("Content-Length")
    total = done + int(expected) if expected else 0
    with part.open("r+b" if done else "wb") as file:
        file.seek(done)
        while chunk := response.read(CHUNK_BYTES):
            file.write(chunk)
            done += len(chunk)
            progress(done, total)
        file.flush()
        os.fsync(file.fileno())
    if done < total:
        raise ConnectionError(f"cut off after {done} of {total} bytes")


def _is_right(path: Path, sha256: str | None, md5: str | None) -> bool:
    for name, expected in (("sha256", sha256), ("md5", md5)):
        if expected is not None:
            with path.open("rb") as file:
                if not hashlib.file_digest(file, name).hexdigest().startswith(expected):
                    return False
    return True
