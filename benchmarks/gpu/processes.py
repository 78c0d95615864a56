"""Processes that a part starts: one that dies is noticed, and none outlives the runner."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess


def call_in_process(target: Callable[..., object], *arguments: object) -> None:
    """Call ``target`` in a new process, and wait for its end.

    Raises:
        RuntimeError: if the process failed or was killed.
    """
    process = multiprocessing.get_context("spawn").Process(
        target=target, args=arguments
    )
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"a process died ({death(process.exitcode)})")


def wait_for(condition: Callable[[], bool], workers: Sequence[BaseProcess]) -> None:
    """Wait until the workers have brought it about.

    Raises:
        RuntimeError: if one of them died before.
    """
    while not condition():
        dead = [worker.exitcode for worker in workers if worker.exitcode]
        if dead:
            raise RuntimeError(f"a process beside died ({death(dead[0])})")
        time.sleep(0.02)


def death(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def lead_group_until_end_of(parent: Connection) -> None:
    """Make this process the leader of a group, which is killed when the other end of ``parent`` closes.

    The kernel closes it with its holder, however that ends, so it needs no signal handler.
    """
    os.setsid()

    def watch() -> None:
        with suppress(EOFError):
            parent.recv()
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
