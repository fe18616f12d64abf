"""A run that takes a second: a MedVersa too small to know anything, and a few small phantoms."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from model.families.medversa_networks.network import MedVersaNetwork
from model.families.medversa_networks.sizes import MedVersaSizes, VqaSizes
from model.families.medversa_saving import save_weights
from model.reading import ChangeStatus, Laterality
from model.training.datasets.case_files import Case, write_cases
from model.training.phantoms.truth import (
    AbdomenCase,
    ChangeTruth,
    ChestCase,
    ChestView,
    FindingTruth,
    ForeignCase,
    SkinCase,
)
from model.training.runs.parts import PARTS
from model.training.runs.plan import RunPlan
from model.weights import TOKENIZER_FILE, WeightsConfig
from tests.small_medversa import SMALL, random_network, small_tokenizer

WORDS = small_tokenizer()
SIZES = replace(
    SMALL,
    context=640,
    vocabulary=WORDS.tokenizer.get_vocab_size(),
    lora_dropout=0.1,
    max_images=6,
)
SIZES_V1 = replace(SIZES, vqa=VqaSizes(image_size=84, visual_side=4))
EVERYTHING = frozenset(PARTS) - {"unused"}

NODULE = FindingTruth("lung nodule", Laterality.RIGHT, "upper", 0.5, (0.25, 0.25, 0.5, 0.5), 3.0)


def chest_view(seed: int, findings: tuple[FindingTruth, ...] = (NODULE,)) -> ChestView:
    side = 64
    lung = np.zeros((side, side), bool)
    lung[10:50, 5:25] = True
    masks = {"right lung": lung, "left lung": lung[:, ::-1].copy()}
    if findings:
        masks["heart"] = np.roll(lung, 20, 1)
    boxes = {"heart": (0.4, 0.5, 0.7, 0.8), "right lung": (0.1, 0.15, 0.4, 0.8)}
    pixels = np.random.default_rng(seed).random((side, side), np.float32)
    return ChestView(pixels, masks, boxes, findings, (1.0, 1.0), "PA")


def abdomen(seed: int = 4) -> AbdomenCase:
    voxels = np.random.default_rng(seed).normal(0, 100, (20, 24, 28)).astype(np.float32)
    organ = np.zeros(voxels.shape, bool)
    organ[4:16, 6:18, 6:18] = True
    return AbdomenCase(seed, voxels, np.diag([3.0, 1, 1, 1]), {"liver": organ})


def skin(seed: int = 2) -> SkinCase:
    red = np.random.default_rng(seed).random((40, 50, 3), np.float32)
    return SkinCase(seed, red, red[..., 0] > 0.5, "melanoma")


def cases() -> list[Case]:
    change = ChangeTruth("lung nodule", Laterality.RIGHT, "upper", ChangeStatus.NEW)
    return [
        ChestCase(0, chest_view(0), chest_view(1, ()), 30, (change,)),
        ChestCase(1, chest_view(2), None, 0, ()),
        skin(),
        ForeignCase(3, skin(1).pixels[..., 0], "noise"),
        abdomen(),
    ]


def write_weights(folder: Path, sizes: MedVersaSizes = SIZES, network: MedVersaNetwork | None = None) -> Path:
    """Weights to start from."""
    folder.mkdir(parents=True, exist_ok=True)
    WORDS.tokenizer.save(str(folder / TOKENIZER_FILE))
    config = WeightsConfig("medversa", "small", "1", True, sizes.to_json())
    save_weights(folder, network or random_network(sizes), config, dtype=None)
    return folder


def write_phantoms(folder: Path) -> dict[str, Any]:
    """Shards of the phantoms, and the section of a plan that names them."""
    folder.mkdir(parents=True, exist_ok=True)
    write_cases(folder / "chest-000000000-5.npz", cases())
    write_cases(folder / "chest-001500000-5.npz", cases())
    return {"phantoms": {"chest": 5}, "validation": 1.0, "folder": str(folder)}


def plan(root: Path, **changed: Any) -> RunPlan:
    """Plan six steps over everything; weights and phantoms are written where they are not yet."""
    weights, phantoms = root / "start", root / "phantoms"
    if not weights.exists():
        write_weights(weights)
    said: Mapping[str, Any] = {
        "name": "tiny",
        "start_from": str(weights),
        "steps": 6,
        "data": [write_phantoms(phantoms)],
        "train": EVERYTHING,
        "batch": {"size": 4, "micro": 2},
        "descent": {"peak_rate": 3e-3, "warm_up": 2},
        "keep": {"every": 2, "last": 5, "validate_every": 3, "validation_batches": 1},
        "autocast": False,
        "device": "cpu",
    }
    return RunPlan.model_validate({**said, **changed})


def trained(weights: Path) -> dict[str, torch.Tensor]:
    """Every tensor of a folder of weights, by file and name."""
    return {
        f"{path.relative_to(weights)}/{name}": tensor
        for path in sorted(weights.rglob("*.safetensors"))
        for name, tensor in load_file(path).items()
    }
