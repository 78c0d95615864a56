"""What a missing file or folder may have been."""

from difflib import get_close_matches
from pathlib import Path


def nearest_file(path: Path) -> str:
    """What lies beside a file or folder, if it is missing, and may have been meant, to go after a message."""
    if path.exists():
        return ""  # what is wrong with it is something else
    while not path.parent.is_dir():
        path = path.parent
    beside = [each.name for each in path.parent.iterdir()]
    close = get_close_matches(path.name, beside)
    meant = [str(path.parent / name) for name in close]
    return f"; did you mean {' or '.join(meant)}?" if meant else ""
