"""Who hears what a search logs: views, trackers, sweepers of checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product

from results import Event
from results.log.events import Noted

Listener = Callable[[Event], None]
"""Called with every event, once it is in the log."""


def tell(listeners: list[Listener], news: Sequence[Event]) -> Iterator[Noted]:
    """Call ``listeners`` with ``news``; who fails is dropped from the list, and a note says so."""
    for event, listener in product(news, list(listeners)):
        # dropped at an earlier event
        if listener not in listeners:
            continue
        try:
            listener(event)
        except Exception as error:  # what is shown must not end what is computed
            listeners.remove(listener)
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            yield Noted(None, f"a view failed and is shown no more: {reason:.200}")
