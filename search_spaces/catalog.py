"""Spaces and published networks by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from fnmatch import fnmatchcase
from inspect import isabstract
from typing import Any

from search_spaces.arch import Arch, brief
from search_spaces.extension import import_named, nearest
from search_spaces.families import fbnetv2_published, fbnetv2_space, regnety, resnest
from search_spaces.families.official_weights import OFFICIAL
from search_spaces.grid import Grid
from search_spaces.space import SearchSpace
from search_spaces.task import Task
from search_spaces.unions import union

SPACES: dict[str, type[SearchSpace]] = {
    "resnest": resnest.ResNeStSpace,
    "regnety": regnety.RegNetYSpace,
    "fbnetv2": fbnetv2_space.FBNetV2Space,
}
REFERENCES: dict[str, Arch] = {
    **resnest.RESNESTS,
    **regnety.REGNETYS,
    **fbnetv2_published.FBNETV2S,
}
"""Published networks by name; ``reference`` looks one up."""
OF_THE_TASK = ("task", *(field.name for field in fields(Task)))


def get_space(
    name: str | Sequence[str | Mapping[str, object]], **knobs: object
) -> SearchSpace:
    """The space of that name, with the knobs named here narrowed to one value, a list, a range or a grid.

    ``name`` is a built-in space or ``"module:Name"`` of a ``SearchSpace`` subclass; or a list of several, each a
    name or ``{"name": ..., "share": ..., knob: choices, ...}``, for their union.

    Raises:
        ValueError: naming the space, knob or value that does not exist.
    """
    if not isinstance(name, str):
        return _union(name, knobs)
    # built-in names first, so that nobody's module can take their place
    space = SPACES.get(name) or _own(name)
    known = [field.name for field in fields(space)]
    for knob, choices in knobs.items():
        if knob not in known and knob in OF_THE_TASK:
            raise ValueError(
                f"space {name}: {knob} is of the task, which is one for all spaces: "
                "the images say it (data), or Task does from Python"
            )
        if knob not in known:
            raise ValueError(f"space {name} has no knob {knob!r}{nearest(knob, known)}")
        if not isinstance(choices, range | Grid):
            choices = choices if isinstance(choices, list | tuple) else [choices]
            knobs[knob] = tuple(
                # no set: a wrong choice may be a list, which has no hash
                choice
                for i, choice in enumerate(choices)
                if choice not in choices[:i]
            )
        if not knobs[knob]:
            raise ValueError(f"space {name}: {knob} has no choices")
    return space(**knobs)


def _union(entries: object, knobs: Mapping[str, object]) -> SearchSpace:
    """The space of a list of entries; of one entry, that space itself."""
    if knobs:
        raise ValueError(
            f"{next(iter(knobs))}: in a list of spaces, knobs stand beside the name of each space"
        )
    if not isinstance(entries, list | tuple) or not entries:
        raise ValueError(
            f"space must be a name or a list of spaces, got {brief(entries)}"
        )
    members: list[SearchSpace] = []
    shares: list[float] = []
    for entry in entries:
        settings = _settings(entry)
        # the share belongs to the union, the rest to the member
        shares.append(settings.pop("share", 1.0))
        members.append(get_space(**settings))
    return union(*members, shares=shares) if len(members) > 1 else members[0]


def _settings(entry: object) -> dict[str, Any]:
    """One space of a list, spelled out: its name, and its share and knobs where they are given."""
    settings = {"name": entry} if isinstance(entry, str) else entry
    if not isinstance(settings, Mapping) or not isinstance(settings.get("name"), str):
        raise ValueError(
            f"a space of a list is a name, or a mapping with a 'name', got {brief(entry)}"
        )
    return {str(key): value for key, value in settings.items()}


def _own(name: str) -> type[SearchSpace]:
    space = import_named(name, "space", SPACES)
    if not (isinstance(space, type) and issubclass(space, SearchSpace)):
        raise ValueError(
            f"space {name!r} is not a subclass of search_spaces.SearchSpace"
        )
    if isabstract(space) or not hasattr(space, "arch_type"):
        raise ValueError(f"space {name!r} needs arch_type, suggest and params")
    return space


def reference(name: str) -> Arch:
    """A published network, named as in the paper's tables: lower case, ``_`` for ``-``.

    Raises:
        ValueError: if there is none of that name.
    """
    if name not in REFERENCES:
        raise ValueError(f"no published network {name!r}{nearest(name, REFERENCES)}")
    return REFERENCES[name]


def list_networks(
    patterns: str | Sequence[str] = "*",
    *,
    pretrained: bool = False,
    exclude_filters: str | Sequence[str] = (),
) -> list[str]:
    """Names of the published networks that one of the shell patterns matches, in the order of their papers.

    As ``timm.list_models``: ``list_networks(["*fast*", "regnety_*"], exclude_filters="*4s*")``. ``pretrained``
    leaves those with weights that ``nas.create`` can fetch. Upper and lower case are alike.
    """
    return [
        name
        for name in REFERENCES
        if _matches(name, patterns)
        and not _matches(name, exclude_filters)
        and (name in OFFICIAL or not pretrained)
    ]


def _matches(name: str, patterns: str | Sequence[str]) -> bool:
    patterns = [patterns] if isinstance(patterns, str) else patterns
    return any(fnmatchcase(name, pattern.lower()) for pattern in patterns)


def network_from_dict(values: Mapping[str, object]) -> Arch:
    """Inverse of ``Arch.to_dict`` of a network.

    Raises:
        ValueError: naming the field that is missing, unknown or wrong.
    """
    if not isinstance(values, Mapping) or not isinstance(values.get("space"), str):
        raise ValueError(
            f"an architecture needs a field 'space' that names its space, got {brief(values)}"
        )
    name = str(values["space"])
    space = SPACES.get(name) or _own(name)
    return space.arch_type.from_dict(values)
