"""Keeps generated cases in files, so that a training run can go on without drawing them again.

A file is one `.npz` per shard of cases: 8-bit pixels, 16-bit Hounsfield units, packed masks, and the rest as
JSON.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.reading import ChangeStatus, Laterality
from model.training.phantoms.truth import (
    AbdomenCase,
    Box,
    ChangeTruth,
    ChestCase,
    ChestView,
    FindingTruth,
    ForeignCase,
    SkinCase,
)

Case = ChestCase | AbdomenCase | SkinCase | ForeignCase
_Arrays = dict[str, NDArray[Any]]


def write_cases(path: Path, cases: Iterable[Case]) -> None:
    """Write one shard; the file appears only when it is whole."""
    arrays: _Arrays = {}
    truths = [_pack(case, f"{n}.", arrays) for n, case in enumerate(cases)]
    arrays["truths"] = np.frombuffer(json.dumps(truths).encode(), np.uint8)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    part.rename(path)


def read_cases(path: Path) -> list[Case]:
    """Read one shard back; pixels come back within half a grey level."""
    with np.load(path) as file:
        arrays: _Arrays = {name: file[name] for name in file.files}
    truths = json.loads(arrays["truths"].tobytes())
    return [_unpack(truth, f"{n}.", arrays) for n, truth in enumerate(truths)]


def read_case(path: Path, n: int) -> Case:
    """Read the case at place `n` of a shard, and no pixels of its neighbours."""
    with np.load(path) as file:
        truth = json.loads(file["truths"].tobytes())[n]
        return _unpack(truth, f"{n}.", file)


def _pack(case: Case, key: str, arrays: _Arrays) -> dict[str, Any]:
    match case:
        case ChestCase():
            views = {"current": case.current} | ({"prior": case.prior} if case.prior else {})
            return {
                "kind": "chest",
                "seed": case.seed,
                "days_between": case.days_between,
                "changes": [_plain(c) for c in case.changes],
                "views": {n: _pack_view(v, f"{key}{n}.", arrays) for n, v in views.items()},
            }
        case AbdomenCase():
            arrays[key + "voxels"] = np.round(np.clip(case.voxels, -1024, 3071)).astype(np.int16)
            arrays[key + "affine"] = case.affine
            return {"kind": "abdomen", "seed": case.seed, "masks": _pack_masks(case.masks, key, arrays)}
        case SkinCase():
            arrays[key + "pixels"] = _eight_bit(case.pixels)
            masks = _pack_masks({"lesion": case.mask}, key, arrays)
            return {"kind": "skin", "seed": case.seed, "diagnosis": case.diagnosis, "masks": masks}
        case ForeignCase():
            arrays[key + "pixels"] = _eight_bit(case.pixels)
            return {"kind": "foreign", "seed": case.seed, "what": case.kind}


def _unpack(truth: dict[str, Any], key: str, arrays: Mapping[str, NDArray[Any]]) -> Case:
    seed = truth["seed"]
    match truth["kind"]:
        case "chest":
            views = {n: _unpack_view(v, f"{key}{n}.", arrays) for n, v in truth["views"].items()}
            changes = tuple(
                ChangeTruth(c["label"], _side(c["laterality"]), c["zone"], ChangeStatus(c["status"]))
                for c in truth["changes"]
            )
            return ChestCase(seed, views["current"], views.get("prior"), truth["days_between"], changes)
        case "abdomen":
            voxels = arrays[key + "voxels"].astype(np.float32)
            masks = _unpack_masks(truth["masks"], key, arrays)
            return AbdomenCase(seed, voxels, arrays[key + "affine"], masks)
        case "skin":
            lesion = _unpack_masks(truth["masks"], key, arrays)["lesion"]
            return SkinCase(seed, _fraction(arrays[key + "pixels"]), lesion, truth["diagnosis"])
        case _:
            return ForeignCase(seed, _fraction(arrays[key + "pixels"]), truth["what"])


def _pack_view(view: ChestView, key: str, arrays: _Arrays) -> dict[str, Any]:
    arrays[key + "pixels"] = _eight_bit(view.pixels)
    return {
        "masks": _pack_masks(view.masks, key, arrays),
        "boxes": dict(view.boxes),
        "findings": [_plain(f) for f in view.findings],
        "spacing_mm": view.spacing_mm,
        "view": view.view,
    }


def _unpack_view(truth: dict[str, Any], key: str, arrays: Mapping[str, NDArray[Any]]) -> ChestView:
    findings = tuple(
        FindingTruth(
            f["label"], _side(f["laterality"]), f["zone"], f["extent"], _box(f["box"]), f["visibility"]
        )
        for f in truth["findings"]
    )
    return ChestView(
        _fraction(arrays[key + "pixels"]),
        _unpack_masks(truth["masks"], key, arrays),
        {name: _box(box) for name, box in truth["boxes"].items()},
        findings,
        tuple(truth["spacing_mm"]),
        truth["view"],
    )


def _pack_masks(masks: Mapping[str, NDArray[np.bool_]], key: str, arrays: _Arrays) -> dict[str, list[int]]:
    for name, mask in masks.items():
        arrays[f"{key}mask.{name}"] = np.packbits(mask)
    return {name: list(mask.shape) for name, mask in masks.items()}


def _unpack_masks(
    shapes: dict[str, list[int]], key: str, arrays: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[np.bool_]]:
    return {
        name: np.unpackbits(arrays[f"{key}mask.{name}"], count=int(np.prod(shape)))
        .reshape(shape)
        .astype(bool)
        for name, shape in shapes.items()
    }


def _plain(truth: FindingTruth | ChangeTruth) -> dict[str, Any]:
    return {name: getattr(truth, name) for name in truth.__dataclass_fields__}


def _box(corners: list[float]) -> Box:
    x1, y1, x2, y2 = corners
    return x1, y1, x2, y2


def _side(name: str | None) -> Laterality | None:
    return Laterality(name) if name else None


def _eight_bit(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8)


def _fraction(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return pixels.astype(np.float32) / np.float32(255)
