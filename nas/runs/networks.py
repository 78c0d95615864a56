"""Networks that a user names: published ones, files, the fronts of earlier runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas.problem import Problem
from results.limits import Limit
from results.nearby import nearest_file
from search_spaces import Arch, SearchSpace, Task, arch_from_dict, reference
from search_spaces.joint import JointSpace, network_of
from search_spaces.sampling.mutation import ReplayTrial


def load_arch(source: str) -> Arch:
    """A published network by name, or that of the architecture in a JSON file (alone, or under ``arch``).

    Raises:
        ValueError: naming the file and what is wrong with it.
    """
    path = Path(source)
    if path.suffix != ".json":
        return reference(source)
    return network_of(read_arch(path))


def read_arch(path: Path) -> Arch:
    """As ``load_arch`` of a file, with what was chosen for the network's training."""
    return _arch(_read_json(path), path)


def load_baselines(entries: Iterable[str], problem: Problem) -> dict[str, Arch]:
    """The networks that ``entries`` name as ``load_arch`` takes them, of any space.

    Raises:
        ValueError: naming the entry, and what is wrong with it or the cost that keeps it out.
    """
    found: dict[str, Arch] = {}
    for entry in entries:
        try:
            found[entry] = load_arch(entry)
            _check_fits(problem, found[entry], entry)
        except ValueError as error:
            raise ValueError(f"baselines: {error}") from error
    return found


def load_starts(
    entries: Sequence[str], space: SearchSpace, limits: Mapping[str, Limit], task: Task
) -> list[Arch]:
    """The architectures that ``entries`` name, in order, of a file with several those inside the cheap limits.

    An entry is a published network, a JSON file with one architecture or a list of them under ``networks`` (as
    ``front.json`` has), or a run folder, for its ``front.json``.

    Raises:
        ValueError: naming the entry, and the knob or the cost that keeps it out.
    """
    joint = space if isinstance(space, JointSpace) else None
    problem = Problem(joint.networks if joint else space, {}, limits, task)
    found: list[Arch] = []
    for entry in entries:
        try:
            inside = _inside(problem, _load(entry), entry)
        except ValueError as error:
            raise ValueError(f"start_from: {error}") from error
        found += map(joint.adopted if joint else network_of, inside)
    return found


def _inside(problem: Problem, archs: list[Arch], entry: str) -> list[Arch]:
    """Those of ``archs`` inside the cheap limits, at least one."""
    for arch in archs:
        _check_expressible(problem.space, network_of(arch), entry)
    # a front of another search may be partly outside; one network is named on purpose
    inside = [arch for arch in archs if problem.fits(arch)]
    if not inside:  # the first of them says why
        _check_fits(problem, archs[0], entry)
    return inside


def _check_fits(problem: Problem, arch: Arch, entry: str) -> None:
    """``ValueError`` naming the cheap limit that ``arch`` breaks most."""
    if problem.fits(arch):
        return
    costs = problem.costs(arch)
    broken = problem.excess(costs)
    name, excess = max(broken.items(), key=lambda item: item[1])
    raise ValueError(
        f"{entry} is outside the limits: {name} is {costs[name]:,}, {excess:.0%} beyond"
    )


def _load(entry: str) -> list[Arch]:
    path = Path(entry)
    if path.is_dir():
        path = path / "front.json"
    elif path.suffix != ".json":
        try:
            return [reference(entry)]
        except ValueError as error:
            raise ValueError(f"{error}, and no file or folder of that name") from error
    values = _read_json(path)
    # front.json holds many, arch.json one
    several = isinstance(values, dict) and "networks" in values
    networks = values["networks"] if several else [values]
    if not (isinstance(networks, list) and networks):
        raise ValueError(f"{path} holds no networks")
    return [_arch(network, path) for network in networks]


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        near = nearest_file(path)
        raise ValueError(f"{path}: cannot be read as JSON ({reason}){near}") from error


def _arch(values: Any, path: Path) -> Arch:
    try:
        return arch_from_dict(
            values.get("arch", values) if isinstance(values, dict) else values
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _check_expressible(space: SearchSpace, arch: Arch, entry: str) -> None:
    """Raise ``ValueError`` naming the knob with which ``space`` cannot express ``arch``."""
    if not isinstance(arch, space.arch_type):
        raise ValueError(
            f"{entry} is of space {arch.space}, the search is in {space.arch_type.space}"
        )
    params = space.params(arch)
    # a knob value that the space does not offer is replaced by a random one of its own
    replayed = space.suggest(ReplayTrial(params, np.random.default_rng(0)))
    if replayed.id == arch.id:
        return
    legal = space.params(replayed)
    replaced = (name for name in params if legal.get(name) != params[name])
    wrong = next(replaced, "knobs")
    raise ValueError(
        f"{entry} is not in this space, which has no {wrong} {params.get(wrong)!r}"
    )
