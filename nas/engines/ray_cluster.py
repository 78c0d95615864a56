"""To Ray and back: a cluster of our own or somebody's, its noise in a file, signals in order."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

try:
    import ray
except ModuleNotFoundError as error:
    raise ImportError(
        "Ray is not installed: pip install 'splitsearch[ray]', or go without it, one trial at a time: --serial"
    ) from error

from nas.config.schema import RayConfig

ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "MALLOC_MMAP_THRESHOLD_": "1073741824",  # glibc keeps the memory of a step for the next: 5 to 13 % faster
    "MALLOC_TRIM_THRESHOLD_": "2147483648",
    "TUNE_MAX_PENDING_TRIALS_PG": "1000",  # `Room` decides how many there are
}
"""Settings of Ray unless the user has set them."""

TOO_LOUD = (
    "ray.tune.analysis",  # misses the result files that the event log stands in for
    "ray._private.authentication",  # announces its default, token authentication
)

CONNECT_SECONDS = 10.0
"""For the head of a cluster to accept a connection."""


class _LogFile(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Nothing: that the disk is full is the event log's to tell."""


@contextmanager
def connected(ray_config: RayConfig, log_file: Path) -> Iterator[None]:
    """A Ray of our own or a cluster's, unless one is connected already; what Ray has to say goes to a file.

    Raises:
        ValueError: if there is no cluster at the address.
    """
    for variable, value in ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    handler = _LogFile(log_file)
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    )
    logger = logging.getLogger("ray")
    before = list(logger.handlers), logger.propagate
    for name in TOO_LOUD:
        logging.getLogger(name).setLevel(logging.ERROR)
    ours = not ray.is_initialized()
    try:
        if ours:
            _init(ray_config)
        # ray.init has put its own there
        logger.handlers, logger.propagate = (
            [handler],
            False,
        )
        with _term_as_ctrl_c():
            yield
    finally:
        try:
            if ours:
                with _ctrl_c_afterwards():
                    ray.shutdown()
        finally:
            logger.handlers, logger.propagate = before
            handler.close()


def _check_address(address: str) -> None:
    """Raise ``OSError`` if nobody listens there, which Ray finds out after minutes."""
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS", address)
    where = urlsplit(address if "://" in address else f"//{address}")
    if where.hostname and where.port:
        socket.create_connection(
            (where.hostname, where.port), timeout=CONNECT_SECONDS
        ).close()


def _init(config: RayConfig) -> None:
    own: dict[str, Any] = (
        {"include_dashboard": False} if config.address == "local" else {}
    )
    try:
        _check_address(config.address)
        with _ctrl_c_afterwards():
            ray.init(
                config.address,
                runtime_env=config.runtime_env or None,
                log_to_driver=False,
                configure_logging=False,
                **own,
            )
    except (ValueError, RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"ray.address {config.address}: no cluster could be reached ({reason:.300})"
        ) from error


@contextmanager
def _ctrl_c_afterwards() -> Iterator[None]:
    """Ctrl-C waits for the end of the block.

    Starting Ray forks; an exception in Python's hooks of ``fork`` is dropped and leaves logging locked for ever.
    Ray stopped halfway ends the process without a word.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed = threading.Event()
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed.is_set():
        raise KeyboardInterrupt


@contextmanager
def _term_as_ctrl_c() -> Iterator[None]:
    """SIGTERM, which SLURM and Kubernetes send, ends a search as Ctrl-C does, without Ray's dump of the stack."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are not this thread's
        return
    before = signal.signal(
        signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT)
    )
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
