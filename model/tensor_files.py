"""Tensors in a directory of safetensors files, one or many, mapped into memory."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from model.errors import WeightsError
from model.weights import Progress, read_json, unseen

INDEX_ENDING = ".safetensors.index.json"
SHARD_BYTES = 2_000_000_000
"""Largest file that is written, unless one tensor alone is larger."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


class TensorFiles(Mapping[str, Tensor]):
    """Reads a tensor when it is asked for; what it gives is the file's memory, not a copy.

    Raises:
        WeightsError: the directory has no safetensors file, only pickles, an unreadable one, lacks a shard
        that its index names, or has a name twice.
    """

    def __init__(self, folder: Path) -> None:
        self._files: dict[str, Any] = {}
        self._places: dict[str, str] = {}
        for path in _safetensors(folder):
            try:
                self._files[path.name] = safe_open(path, "pt")  # held open as long as its tensors are asked
            except (SafetensorError, OSError) as exc:
                raise WeightsError(f"{path.name} is not readable as safetensors") from exc
            for name in self._files[path.name].keys():  # noqa: SIM118  # not a dict
                if name in self._places:
                    raise WeightsError(f"{name} is in {self._places[name]} and in {path.name}")
                self._places[name] = path.name

    def __getitem__(self, name: str) -> Tensor:
        return self._files[self._places[name]].get_tensor(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor, without reading it."""
        return tuple(self._files[self._places[name]].get_slice(name).get_shape())

    def bytes_of(self, name: str) -> int:
        """Size of a tensor in its file, without reading it."""
        stored = self._files[self._places[name]].get_slice(name)
        return math.prod(stored.get_shape()) * _BYTES[stored.get_dtype()]


_BYTES = {
    "F64": 8,
    "I64": 8,
    "U64": 8,
    "F32": 4,
    "I32": 4,
    "U32": 4,
    "F16": 2,
    "BF16": 2,
    "I16": 2,
    "U16": 2,
} | {
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
}
"""Bytes of one number of each type of a safetensors file."""


def _safetensors(folder: Path) -> list[Path]:
    found = sorted(folder.glob("*.safetensors"))
    indices = sorted(folder.glob(f"*{INDEX_ENDING}"))
    if indices:
        named = {str(name) for path in indices for name in read_json(path).get("weight_map", {}).values()}
        if lost := sorted(named - {path.name for path in found}):
            raise WeightsError(f"{indices[0].name} names {', '.join(lost)}, which are not there")
        found = [path for path in found if path.name in named]
    if found:
        return found
    if pickles := sorted(path.name for path in folder.glob("*") if path.suffix in PICKLES):
        raise WeightsError(
            f"{', '.join(pickles)}: a pickle can run any code when it is opened and is never read here; "
            "where you trust it, write its tensors with `safetensors.torch.save_file` and use that file"
        )
    raise WeightsError(f"no safetensors file in {folder.name or folder}")


Source = tuple[int, Callable[[], Tensor]]
"""Bytes of a tensor, and where to get it when it is written."""


def write_tensors(
    folder: Path,
    stem: str,
    tensors: Mapping[str, Source],
    *,
    shard: int = SHARD_BYTES,
    progress: Progress = unseen,
) -> None:
    """Write `<stem>.safetensors`, or shards of at most `shard` bytes and their index; one shard at a time.

    A file appears under its name only when it is whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shards = _divided(tensors, shard)
    total, done = sum(size for size, _ in tensors.values()), 0
    places: dict[str, str] = {}
    for n, names in enumerate(shards, start=1):
        file = (
            f"{stem}.safetensors" if len(shards) == 1 else f"{stem}-{n:05d}-of-{len(shards):05d}.safetensors"
        )
        part = folder / f"{file}.part"
        save_file({name: tensors[name][1]().contiguous() for name in names}, part, metadata={"format": "pt"})
        part.chmod(0o644)  # as any file that is made to be read by others; the library's own is private
        part.replace(folder / file)
        places |= dict.fromkeys(names, file)
        done += sum(tensors[name][0] for name in names)
        progress(f"{folder.name}/{stem}", done, total)
    if len(shards) > 1:
        index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(places.items()))}
        (folder / f"{stem}{INDEX_ENDING}").write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    for stale in folder.glob(f"{stem}*.safetensors*"):
        if stale.name not in places.values() and not (len(shards) > 1 and stale.name.endswith(INDEX_ENDING)):
            stale.unlink()


def _divided(tensors: Mapping[str, Source], most: int) -> list[list[str]]:
    shards: list[list[str]] = [[]]
    filled = 0
    for name, (size, _) in tensors.items():
        if shards[-1] and filled + size > most:
            shards.append([])
            filled = 0
        shards[-1].append(name)
        filled += size
    return shards


def source_of(tensor: Tensor) -> Source:
    """Offer a tensor that is in memory."""
    return tensor.numel() * tensor.element_size(), lambda: tensor
