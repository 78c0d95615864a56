"""``KEY=VALUE`` as a person types it on the command line."""

from __future__ import annotations


def split_pair(text: str, where: str, form: str) -> tuple[str, str]:
    """Key and value of ``text``; the value may be empty, the key may not.

    Raises:
        ValueError: beginning with ``where``; ``form`` says what would be right.
    """
    key, equals, value = text.partition("=")
    if not (key.strip() and equals):
        raise ValueError(f"{where} needs the form {form}")
    return key.strip(), value
