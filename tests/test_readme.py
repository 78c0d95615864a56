"""The README's example prints what the README says it prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documents import blocks

README = Path(__file__).parents[1] / "README.md"


def test_the_example_prints_what_stands_below_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = blocks(README)
    code = next(
        number for number, block in enumerate(shown) if block.language == "python"
    )
    exec(compile(shown[code].text, str(README), "exec"), {})  # noqa: S102
    assert capsys.readouterr().out == shown[code + 1].text
