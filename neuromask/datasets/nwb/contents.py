"""What an NWB file holds, by path, and found by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ...errors import InvalidInputError, suggest

__all__ = ["contents", "ends_of_path", "is_kind", "named", "short_names"]

# Groups of an NWB file that hold data, by their names in the file and in pynwb.
_ROOMS = {
    "intervals": "intervals",
    "events": "events",
    "acquisition": "acquisition",
    "analysis": "analysis",
    "scratch": "scratch",
    "stimulus/presentation": "stimulus",
}


def contents(file: Any) -> dict[str, Any]:
    """Give all tables and series of a file by path, such as ``processing/behavior/licks``."""
    found: dict[str, Any] = {}

    def visit(container: Any, path: str) -> None:
        found[path] = container
        for child in () if is_kind(container, "DynamicTable") else container.children:
            visit(child, f"{path}/{child.name}")

    for name in ("units", "electrodes"):
        if getattr(file, name, None) is not None:
            found[name] = getattr(file, name)
    for name in ("trials", "epochs", "invalid_times"):
        if getattr(file, name, None) is not None:
            found[f"intervals/{name}"] = getattr(file, name)
    rooms = {path: getattr(file, name, None) or {} for path, name in _ROOMS.items()}
    rooms |= {f"processing/{name}": m.data_interfaces for name, m in file.processing.items()}
    for room, containers in rooms.items():
        for name, container in containers.items():
            visit(container, f"{room}/{name}")
    return found


def is_kind(container: Any, *names: str) -> bool:
    """Say whether a container is of one of these types of NWB, or of one derived from them."""
    return any(kind.__name__ in names for kind in type(container).__mro__)


def ends_of_path(path: str) -> list[str]:
    """Give the ends of a path, the shortest first.

    Examples
    --------
    >>> ends_of_path("processing/behavior/licks")
    ['licks', 'behavior/licks', 'processing/behavior/licks']
    """
    parts = path.split("/")
    return ["/".join(parts[i:]) for i in range(len(parts) - 1, -1, -1)]


def short_names(paths: Iterable[str]) -> dict[str, str]:
    """Give, by path, the shortest end of it that no other path has.

    Examples
    --------
    >>> short_names(["left/paw", "right/paw", "video/pupil"])
    {'left/paw': 'left/paw', 'right/paw': 'right/paw', 'video/pupil': 'pupil'}
    """
    ends = {path: ends_of_path(path) for path in paths}
    counted = Counter(end for of_one in ends.values() for end in of_one)
    return {path: next((e for e in of if counted[e] == 1), path) for path, of in ends.items()}


def named(name: str, found: Mapping[str, Any], what: str) -> str:
    """Find the path that a name means: a whole path, or the end of one.

    Parameters
    ----------
    name : str
        As a user writes it.
    found : mapping of str to object
        What there is, by path.
    what : str
        What is looked for, such as "signal".

    Raises
    ------
    InvalidInputError
        If there is none of the name, or several.
    """
    name = name.strip("/")
    if name in found:
        return name
    near = [path for path in found if name in ends_of_path(path)]
    if len(near) == 1:
        return near[0]
    if near:
        raise InvalidInputError(
            f"{what} {name!r} names {len(near)} places, {near}; expected one. Give more of its "
            f"path, such as {short_names(found)[near[0]]!r}."
        )
    names = list(short_names(found).values())
    shown = f"{names[:20]}" + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    parts = [n for n in names if name.lower() in n.lower()]  # as gabors in gabors_presentations
    like = f" Did you mean {parts[0]!r}?" if parts else suggest(name, [*names, *found])
    raise InvalidInputError(
        f"{what} {name!r} is not in the file; it has {shown if names else 'none'}.{like}"
    )
