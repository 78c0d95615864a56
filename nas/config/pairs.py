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


def key_of(override: str) -> str:
    """The setting that an override is about: ``stop.hours`` of ``stop.hours=2``."""
    return override.partition("=")[0].strip()


def section_of(override: str) -> str:
    """Its first part, which may be all of it: ``stop`` of ``stop.hours=2``."""
    return key_of(override).partition(".")[0]


def read_limit(text: str) -> tuple[str, float | list[float]]:
    """``macs=4e8`` (at most) or ``macs=3e8..4e8`` as the limit's name and value.

    Raises:
        ValueError: naming the option ``--limit`` and what would be right.
    """
    form = "METRIC=MOST or METRIC=LEAST..MOST, e.g. macs=4e8"
    name, value = split_pair(text, f"--limit {text}:", form)
    least, dots, most = value.partition("..")
    try:
        return name, [float(least), float(most)] if dots else float(value)
    except ValueError:
        raise ValueError(f"--limit {text}: needs the form {form}") from None
