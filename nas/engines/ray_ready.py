"""What lies ready of Tune's actors, taken in at once.

Tune's own loop takes one result a round, and looks at all actors for it: of a thousand actors that is a
millisecond a result, of ten thousand more than a driver has.
"""

from __future__ import annotations

from typing import Any

import ray


def take_ready(manager: Any) -> None:
    """Let Tune's actor ``manager`` handle all starts, ends and results of actors that have come."""
    for events in (manager._actor_state_events, manager._actor_task_events):
        futures = list(events._tracked_futures)
        if not futures:
            continue
        ready, _ = ray.wait(futures, num_returns=len(futures), timeout=0)
        for future in ready:
            # what came of one may have ended another
            if future in events._tracked_futures:
                events.resolve_future(future)
    # the rest is rare: placement groups, and actors that can start now or are to be killed
    manager.next(timeout=0)
