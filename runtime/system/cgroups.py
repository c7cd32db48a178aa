"""What a container, a job or a unit may use at most: the limits of Linux's control groups.

A limit of any group around a process holds, too. Version 1 has a tree of folders for each kind of
resource, version 2 one for all; on one machine both may be mounted. Source: cgroups(7), proc(5).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_OWN = Path("/proc/self/cgroup")
_MOUNTS = Path("/proc/self/mountinfo")
_USUAL = Path("/sys/fs/cgroup")


def quotas() -> list[float]:
    """How many cores' worth of time each group around this process may take."""
    pairs = [_text(group / "cpu.max").split() for group in _groups("")]
    for group in _groups("cpu"):
        pairs.append([_text(group / f"cpu.cfs_{name}_us") for name in ("quota", "period")])
    return [int(pair[0]) / int(pair[1]) for pair in pairs if pair and pair[0].isdigit()]


def memory() -> list[int]:
    """How many bytes each group around this process may hold."""
    return [limit for limit, _ in _memory()]


def free_memory() -> list[int]:
    """How many of them are left, when what the group can give back at once is not counted."""
    return [limit - used for limit, used in _memory()]


def _memory() -> Iterator[tuple[int, int]]:
    """Limit and use of each group that has a limit."""
    for kind, limit, use, idle in (
        ("", "memory.max", "memory.current", "inactive_file"),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        for group in _groups(kind):
            if (most := _text(group / limit)).isdigit():
                facts = dict(line.split() for line in _text(group / "memory.stat").splitlines())
                yield int(most), int(_text(group / use) or 0) - int(facts.get(idle, 0))


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:  # not there: no limit of that kind
        return ""


def _groups(kind: str) -> Iterator[Path]:
    """The folders of this process's group and of those around it.

    Args:
        kind: of version 1's trees, such as "memory"; "" for version 2.
    """
    lines = [line.split(":", 2) for line in _text(_OWN).splitlines()]
    inside = PurePosixPath(next((place for _, k, place in lines if kind in k.split(",")), "/"))
    for root, mount in _trees(kind):
        # Seen from a container, a group may lie outside of what is mounted there.
        known = inside.is_relative_to(root) and ".." not in inside.parts
        below = inside.relative_to(root) if known else PurePosixPath()
        yield from (mount / group for group in (below, *below.parents))


def _trees(kind: str) -> Iterator[tuple[PurePosixPath, Path]]:
    """Which group a tree is mounted from, and where: as the system lists it, or as is usual."""
    yield PurePosixPath("/"), _USUAL / kind
    for line in _text(_MOUNTS).splitlines():
        about, _, rest = line.partition(" - ")
        system, _, options = rest.split(" ", 2)
        if system == ("cgroup" if kind else "cgroup2") and (not kind or kind in options.split(",")):
            root, mount = about.split()[3:5]
            yield PurePosixPath(root), Path(mount)
