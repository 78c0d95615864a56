"""Settings and architecture files, mutated at random: each is accepted, or refused in one line."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from nas import load_config, presets
from nas.runs.networks import load_arch
from search_spaces import REFERENCES, reference

ODD: list[Any] = [
    None, True, -1, 0, 1, 3, 10**30, 0.5, -0.0, float("nan"), float("inf"), "", "none", "resnest", "a\nb", "💥",
    [], [1], [[]], {}, {"name": "x"}, {"": 1}, ["max"], "os:system", "module:Name", b"\xff",
]  # fmt: skip


def test_settings(tmp_path: Path) -> None:
    originals = [yaml.safe_load(text) for text in presets().values()]
    accepted = fuzz(
        tmp_path / "mutant.yaml",
        originals,
        yaml.dump,
        lambda path: load_config(str(path)),
    )
    assert 20 < accepted < 800, "some mutations are harmless, most are not"


def test_architectures(tmp_path: Path) -> None:
    originals = [reference(name).to_dict() for name in REFERENCES]
    accepted = fuzz(
        tmp_path / "mutant.json",
        originals,
        json.dumps,
        lambda path: load_arch(str(path)),
    )
    assert 20 < accepted < 800


def fuzz(
    path: Path,
    originals: list[Any],
    dump: Callable[[Any], str],
    load: Callable[[Path], object],
) -> int:
    """How many of 1,000 mutants are accepted; each other must be refused in one line that names the file."""
    chance, accepted = random.Random(0), 0  # noqa: S311 - no secret
    for _ in range(1000):
        values = mutate(copy.deepcopy(chance.choice(originals)), chance)
        try:
            text = dump(values).encode()
        except TypeError:  # bytes are not JSON's
            continue
        path.write_bytes(garble(text, chance) if chance.random() < 0.3 else text)
        try:
            load(path)
        except ValueError as error:
            if str(path) not in str(error) or len(str(error)) > 1000:
                pytest.fail(f"{path.read_bytes()!r} is refused with {error}")
        except Exception as error:
            pytest.fail(f"{path.read_bytes()!r} raised {type(error).__name__}: {error}")
        else:
            accepted += 1
    return accepted


def mutate(values: Any, chance: random.Random) -> Any:
    """One to three places changed: a value replaced, a key renamed, dropped or added."""
    for _ in range(chance.randint(1, 3)):
        if not isinstance(values, dict) or not values:
            return chance.choice(ODD)
        parent: Any = values
        while True:
            key = chance.choice(
                list(parent) if isinstance(parent, dict) else range(len(parent))
            )
            if (
                isinstance(parent[key], dict | list)
                and parent[key]
                and chance.random() < 0.7
            ):
                parent = parent[key]
            else:
                break
        kind = chance.choice(["replace", "replace", "drop", "rename"])
        if kind == "replace" or isinstance(parent, list):
            parent[key] = chance.choice(ODD)
        elif kind == "drop":
            del parent[key]
        else:
            parent[f"{key}_"] = parent.pop(key)
    return values


def garble(text: bytes, chance: random.Random) -> bytes:
    """A few bytes overwritten, cut off or repeated."""
    if not text:
        return text
    broken = bytearray(text)
    for _ in range(chance.randint(1, 4)):
        broken[chance.randrange(len(broken))] = chance.randrange(256)
    return bytes(
        broken[: chance.randint(1, len(broken))] if chance.random() < 0.5 else broken
    )
