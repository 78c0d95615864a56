"""Output that outlives its terminal: what is shown must never end what is computed."""

from __future__ import annotations

import io
import os
from contextlib import suppress
from pathlib import Path
from typing import TextIO


class LastingOutput(io.TextIOBase):
    """Passes text on to ``stream`` until that fails, then drops it; ``error`` is how it failed, None so far.

    The failed stream's file descriptor is turned to the null device, so that what is still buffered, and what
    other processes write there, fails no more.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.error: Exception | None = None

    def write(self, text: str) -> int:
        if self.error is None:
            try:
                self._stream.write(text)
            except (OSError, ValueError) as error:
                self._lose(error)
        return len(text)

    def flush(self) -> None:
        if self.error is None:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._lose(error)

    def isatty(self) -> bool:
        return self.error is None and self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # read-only at run time, not so in typeshed
        return self._stream.encoding

    def _lose(self, error: Exception) -> None:
        self.error = error
        with suppress(OSError, ValueError), Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), self._stream.fileno())
