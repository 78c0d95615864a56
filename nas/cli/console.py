"""A terminal that shows texts as they are: names and messages of others are no markup and move no cursor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

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
