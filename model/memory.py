"""Whether weights fit, stated before they are loaded, and how many requests can be answered together."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from model.errors import MemoryShortageError
from model.precision import Precision

GIB = 1 << 30
RESERVE = GIB // 2
"""Bytes left alone: the interpreter, its libraries, pixels of the study and what the allocator cannot use."""


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """Bytes that a network takes on its device."""

    weights: int
    """Every parameter and buffer at the chosen precision."""
    encoding: int
    """Most that lives while one image is encoded or masked."""
    cache_per_token: int
    """Keys and values of each position of each row of a batch."""
    work_per_token: int
    """What one layer computes of each position of each row."""

    @property
    def per_token(self) -> int:
        return self.cache_per_token + self.work_per_token

    def total(self, tokens: int) -> int:
        """Bytes to hold the weights and answer one request of so many tokens."""
        return RESERVE + self.weights + self.encoding + tokens * self.per_token

    def rows(self, free: int, tokens: int) -> int:
        """Rows of so many tokens for which `free` bytes suffice once the weights are loaded; may be 0."""
        return max(0, free - RESERVE - self.encoding) // (tokens * self.per_token)


def check_fit(needs: Mapping[Precision, MemoryNeed], chosen: Precision, tokens: int, free: int) -> None:
    """Refuse weights for which `free` bytes do not suffice; name the best precision that would do.

    Raises:
        MemoryShortageError: they do not.
    """
    wanted = {precision: need.total(tokens) for precision, need in needs.items()}
    if wanted[chosen] <= free:
        return
    fitting = [p for p in Precision if p in wanted and wanted[p] <= free]
    advice = (
        f"choose precision {fitting[0]} ({wanted[fitting[0]] / GIB:.1f} GiB)"
        if fitting
        else "no precision fits this device"
    )
    asked, there = wanted[chosen] / GIB, free / GIB
    raise MemoryShortageError(f"{chosen} weights need {asked:.1f} GiB, {there:.1f} GiB are free; {advice}")


def free_memory(device: str, root: Path = Path("/")) -> int | None:
    """Bytes that can still be taken on a torch device without swapping; None where no one says.

    On a CPU the kernel's estimate (MemAvailable of proc(5)) or what the control groups of this process leave
    (memory.max less memory.current, in which the page cache of inactive files does not count), whichever is
    less. `root` is where `proc` and `sys` are looked for.
    """
    if torch.device(device).type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return min(_limits(root), default=None)


def _limits(root: Path) -> list[int]:
    limits = [1024 * kib for kib in _numbers(root / "proc/meminfo", "MemAvailable:")]
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return limits
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            top, names = "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file ")
        elif "memory" in controllers.split(","):
            top = "sys/fs/cgroup/memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file ")
        else:
            continue
        group = root / top / path.lstrip("/")
        # In a container the path may be the host's, which is not mounted here: then its root is ours.
        for folder in (group, *group.parents):
            limits += _left_in(folder, *names)
            if folder == root / top:
                break
    return limits


def _left_in(folder: Path, limit: str, usage: str, reclaimable: str) -> list[int]:
    most, used = _numbers(folder / limit), _numbers(folder / usage)
    if not most or not used:
        return []
    return [max(0, most[0] - used[0] + sum(_numbers(folder / "memory.stat", reclaimable)))]


def _numbers(file: Path, field: str = "") -> list[int]:
    """Return the number that follows each `field` at the start of a line; none if the file is not there."""
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return []
    words = [line.removeprefix(field).split() for line in lines if line.startswith(field)]
    return [int(word[0]) for word in words if word and word[0].isdecimal()]
