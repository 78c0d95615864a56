"""To Ray and back: a cluster of our own or somebody's, its noise in a file, signals in order."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

try:
    import ray
    from ray._private import ray_constants
    from ray._private.authentication.authentication_token_setup import (
        ensure_token_if_auth_enabled,
        maybe_enable_token_auth_if_token_available,
    )
    from ray._private.services import canonicalize_bootstrap_address_or_die

    # compiled, and their names are in no stub
    from ray._raylet import AuthenticationTokenLoader, GcsClient  # type: ignore[attr-defined]
    from ray.exceptions import AuthenticationError
except ModuleNotFoundError as error:
    raise ImportError(
        "Ray is not installed: pip install 'splitsearch[ray]', or go without it, one trial at a time: --serial"
    ) from error

from nas.config.schema import NO_CLIENT, RayConfig

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
    # put back at the end: the caller may have a Ray of his own
    before = list(logger.handlers), logger.propagate
    ours = not ray.is_initialized()
    try:
        if ours:
            _init(ray_config)
        # ray.init has put its own there
        logger.handlers = [handler]
        logger.propagate = False
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


def has_gpus(address: str) -> bool:
    """Whether a node of the cluster has GPUs now; ``ValueError`` if it cannot be reached."""
    with _said_in_one_line(address):
        nodes = GcsClient(address=_proven(address)).get_all_node_info(timeout=60)
    return any(node.resources_total.get("GPU", 0) for node in nodes.values())


def _init(config: RayConfig) -> None:
    options: dict[str, Any] = {
        "runtime_env": config.runtime_env or None,
        "log_to_driver": False,
        "configure_logging": False,
    }
    _check_working_folder()
    with _said_in_one_line(config.address):
        if config.address == "local":
            with _ctrl_c_afterwards(), _loopback_only():
                ray.init("local", include_dashboard=False, **options)
        else:
            address = _proven(config.address)
            with _ctrl_c_afterwards():
                ray.init(address, **options)


def _check_working_folder() -> None:
    """``ValueError`` if workers would take something of the user's for this package.

    Ray puts the folders of the driver first on their path. ``nas.own_packages`` sees to the other packages.
    """
    ours = Path(__file__).parents[2]
    for folder in (Path.cwd(), Path(sys.argv[0]).resolve().parent):
        for other in (folder / "nas.py", folder / "nas" / "__init__.py"):
            if folder != ours and other.is_file():
                raise ValueError(
                    f"{other}: Ray's workers would import it in place of this program's own package nas; "
                    "rename it, or start in another folder"
                )


@contextmanager
def _said_in_one_line(address: str) -> Iterator[None]:
    """``ValueError`` in place of Ray's own errors and warnings."""
    for name in TOO_LOUD:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        yield
    except AuthenticationError as error:
        raise ValueError(
            f"ray.address {address}: {_about_token()}; docs/cluster.md, Tokens"
        ) from error
    except (ValueError, RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"ray.address {address}: no cluster could be reached ({reason:.300})"
        ) from error


def _proven(address: str) -> str:
    """``host:port`` of the head, which answers this process; ``ray.init`` finds out otherwise after 30 s.

    Raises:
        OSError: if nobody listens there.
        AuthenticationError: if the cluster asks for a token that this process cannot show.
    """
    if os.environ.get("RAY_ADDRESS", "").startswith("ray://") and address == "auto":
        raise ValueError(f"RAY_ADDRESS: {NO_CLIENT}")
    address = canonicalize_bootstrap_address_or_die(address)
    where = urlsplit(f"//{address}")
    socket.create_connection(
        (where.hostname, where.port), timeout=CONNECT_SECONDS
    ).close()
    if "RAY_AUTH_MODE" not in os.environ and _asks_for_token(address):
        # Ray itself looks for a token file only where the address is auto
        maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
    ensure_token_if_auth_enabled(create_token_if_missing=False)
    GcsClient(address=address)
    return address


def _asks_for_token(address: str) -> bool:
    """Whether the cluster does; to show a token that was not asked for shuts out workers that have none."""
    with _stderr_closed():
        try:
            GcsClient(address=address)
        except AuthenticationError:
            return True
    return False


@contextmanager
def _stderr_closed() -> Iterator[None]:
    """Ray's compiled part warns there of what is not wrong."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _about_token() -> str:
    """What is wrong with the token of this process, and what to do."""
    if os.environ.get("RAY_AUTH_MODE", "token").lower() != "token":
        return "the cluster asks for a token; export RAY_AUTH_MODE=token"
    if AuthenticationTokenLoader.instance().has_token(ignore_auth_mode=True):
        return "the token here is not the cluster's; copy ~/.ray/auth_token of its head"
    return (
        "the cluster asks for a token, and there is none here; copy ~/.ray/auth_token of its head, "
        "or export RAY_AUTH_TOKEN_PATH"
    )


@contextmanager
def _loopback_only() -> Iterator[None]:
    """A Ray that starts within listens to this machine; else all interfaces are open to the network.

    Ray does so by itself on macOS and Windows, where it takes no other nodes; its switch for that is read once.
    """
    variable = ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    os.environ[variable] = "0"
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before
        del os.environ[variable]


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

    def once(number: int, frame: object) -> None:
        # a job script and Slurm itself may both send it
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGTERM, once)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
