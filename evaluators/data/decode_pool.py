"""Decoding by several processes, of which none outlives the caller."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Self, cast

from evaluators.data import decode as program
from evaluators.data.decode import ColourError, Entry, Failure, decode

WORTH_A_PROCESS = 1000


def decode_all(
    jobs: Sequence[list[Entry]],
    output: Path,
    advance: Callable[[int], None],
    processes: int | None = None,
) -> list[Failure]:
    """``decode`` each job into ``output``; ``advance`` is told of every so many images done.

    ``processes`` None: as many as there are cores for this process, and none for a few images.

    Raises:
        ValueError: for a file that cannot be read as a whole, or a decoder that crashed; ``ColourError``.
    """
    sizes = [sum(len(entry.rows) for entry in job) for job in jobs]
    if processes is None:
        processes = _worthwhile_processes(sizes)
    if processes >= 2:
        return _in_processes(jobs, sizes, output, advance, processes)
    failures: list[Failure] = []
    for job, size in zip(jobs, sizes, strict=True):
        failures += decode(job, str(output))
        advance(size)
    return failures


def _worthwhile_processes(sizes: Sequence[int]) -> int:
    cores = len(os.sched_getaffinity(0))
    busy = sum(sizes) // WORTH_A_PROCESS
    return min(cores, len(sizes), busy)


def _in_processes(
    jobs: Sequence[list[Entry]],
    sizes: Sequence[int],
    output: Path,
    advance: Callable[[int], None],
    processes: int,
) -> list[Failure]:
    failures: list[Failure] = []
    # the workers close first: then no thread waits for one
    with ThreadPoolExecutor(processes) as threads, ExitStack() as stack:
        # a thread a worker: it only waits for replies
        idle: SimpleQueue[_Worker] = SimpleQueue()
        for _ in range(processes):
            idle.put(stack.enter_context(_Worker()))

        def run(job: list[Entry]) -> list[Failure]:
            worker = idle.get()
            try:
                return worker.decode(job, output)
            finally:
                idle.put(worker)

        pending = {
            threads.submit(run, job): size
            for job, size in zip(jobs, sizes, strict=True)
        }
        try:
            for done in as_completed(pending):
                failures += done.result()
                advance(pending[done])
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
    return failures


class _Worker:
    """A process that runs ``decode.serve``; it ends with its input, which ends with us."""

    def __enter__(self) -> Self:
        # -P: the folder of the program must not hide packages of the same names as its files
        command = [sys.executable, "-P", str(program.__file__)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)  # noqa: S603 - no shell
        self._stdin = cast(IO[str], self._process.stdin)
        self._stdout = cast(IO[str], self._process.stdout)
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        if kind is not None:
            # it may be deep in an image; nobody wants its answer any more
            self._process.kill()
        with suppress(BrokenPipeError):
            self._stdin.close()
        self._process.wait()
        self._stdout.close()

    def decode(self, job: list[Entry], output: Path) -> list[Failure]:
        try:
            self._stdin.write(json.dumps([job, str(output)]) + "\n")
            self._stdin.flush()
            reply = json.loads(self._stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError) as error:
            names = f"{job[0].path} to {job[-1].path}" if len(job) > 1 else job[0].path
            raise ValueError(
                f"a decoding process died in {names}: out of memory, or a broken image"
            ) from error
        if "colour" in reply:
            raise ColourError(reply["colour"])
        if "error" in reply:
            raise ValueError(reply["error"])
        return [Failure(*failure) for failure in reply["failures"]]
