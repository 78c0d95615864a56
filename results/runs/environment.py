"""What a search ran on, as ``environment.json`` in its folder tells."""

import json
from pathlib import Path


def environment(folder: Path) -> dict[str, object]:
    """Machine, devices, versions, and under ``task`` what the data asks of a network; empty if not recorded.

    What cannot be read gives its reason under ``unreadable``: a report does without.
    """
    path = folder / "environment.json"
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        return {"unreadable": f"{path.name}: {error}"}
    return (
        facts
        if isinstance(facts, dict)
        else {"unreadable": f"{path.name}: no JSON object"}
    )
