"""What a person is told when a device is not free: who has it, before they wonder what is wrong."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from rich.console import Console

from evaluators.devices.holders import Wait, belongs_to, described, is_stopped, waits

LOCK_SECONDS = 5.0


@contextmanager
def told_of_waits(console: Console, every: float = LOCK_SECONDS) -> Iterator[None]:
    """Within, each process that keeps this one or its workers from a device is told of once.

    Only of waits that last from one look to the next: a measurement takes a second or two.
    """
    done = Event()

    def look() -> None:
        before: set[Wait] = set()
        told: set[int] = set()
        while not done.wait(every):
            now = {wait for wait in waits() if _is_news(wait)}
            for holder in sorted({wait.holder for wait in now & before} - told):
                told.add(holder)
                console.print(_line(holder), soft_wrap=True)
            before = now

    thread = Thread(target=look, name="waits", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _is_news(wait: Wait) -> bool:
    """Our own workers wait for each other all the time, and not for long."""
    us = os.getpid()
    return belongs_to(wait.waiter, us) and (
        is_stopped(wait.holder) or not belongs_to(wait.holder, us)
    )


def _line(holder: int) -> str:
    state, way_out = "", "it goes on when that is done"
    if is_stopped(holder):
        state = " and is stopped"
        way_out = f"let that go on (kill -CONT {holder}) or end it"
    return f"waiting for {described(holder)}, which has the device{state}; {way_out}"
