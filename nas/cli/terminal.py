"""The terminal: what is shown never ends what is computed, and texts of others are shown as they are."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment


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


# A picture in the place of each control character (U+2400 onwards), except line ends, tabs and carriage returns.
_PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\r\t"}
_PICTURES |= {0x7F: 0x2421} | dict.fromkeys(range(0x80, 0xA0), 0xFFFD)


def harmless(text: str) -> str:
    """``text`` with every control character as a picture: no escape sequence gets to the terminal."""
    return text.translate(_PICTURES)


class PlainConsole(Console):
    """Rich's console without markup, emoji codes and highlighting; control characters are shown as pictures."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for text, style, control in super().render(renderable, options):
            # Control segments are Rich's own: they move the cursor of a live view.
            yield Segment(text if control else harmless(text), style, control)
