"""Draws that go on where the last call left off, so that a loop over ``sample`` surveys a space once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator

from search_spaces.arch import Arch

STREAMS_KEPT = 16
"""Streams that stay open; the one unused for longest is closed first."""


class Streams:
    """Open iterators over architectures, by the very objects that they were opened for.

    Finding out how rare the inside of tight limits is costs thousands of draws; an iterator does that once. A
    caller who asks for one architecture at a time, always with the same generator, gets the next of the same
    iterator. Owners are compared by identity: two equal generators are two sources of chance.
    """

    def __init__(self) -> None:
        self._open: OrderedDict[Hashable, tuple[tuple[object, ...], Iterator[Arch]]] = (
            OrderedDict()
        )

    def next(
        self,
        owners: tuple[object, ...],
        question: Hashable,
        start: Callable[[], Iterator[Arch]],
    ) -> Arch:
        """The next draw of the stream of these ``owners`` and this ``question``; a new one where it has ended."""
        key = (*map(id, owners), question)
        if (drawn := self._go_on(key)) is not None:
            return drawn
        stream = start()
        first = next(stream)
        # the owners are kept with it, so that no other object can get their ids
        self._open[key] = (owners, stream)
        if len(self._open) > STREAMS_KEPT:
            self._open.popitem(last=False)
        return first

    def _go_on(self, key: Hashable) -> Arch | None:
        """The next draw of an open stream; None if it is not open, or has come to its end."""
        if key not in self._open:
            return None
        self._open.move_to_end(key)
        try:
            return next(self._open[key][1])
        # everything there is has been drawn: the caller begins anew
        except (ValueError, StopIteration):
            del self._open[key]
            return None
