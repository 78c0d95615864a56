"""The README's example prints what the README says it prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


def test_the_example_prints_what_stands_below_it(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    code = next(number for number, (language, _) in enumerate(blocks) if language == "python")
    exec(compile(blocks[code][1], str(README), "exec"), {})  # noqa: S102
    assert capsys.readouterr().out == blocks[code + 1][1]


def test_the_example_configuration_is_valid(tmp_path: Path) -> None:
    from nas import load_config

    text = re.search(r"```yaml\n(.*?)```", README.read_text(), re.DOTALL)
    assert text is not None
    path = tmp_path / "mine.yaml"
    path.write_text(text[1])
    assert load_config(str(path)).trials == 100
