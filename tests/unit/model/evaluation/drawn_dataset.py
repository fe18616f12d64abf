"""A prepared dataset of a few pictures that the scripted family can be asked about."""

from pathlib import Path

import numpy as np
from PIL import Image

from model.reading import Modality
from model.training.datasets.dataset_reader import Case, DatasetCard
from model.training.datasets.prepared import PreparedDataset
from model.training.datasets.record import Record, RecordBox, RecordImage, RecordMask, RecordQuestion
from model.training.datasets.shards import write_prepared
from tests.scripted_family import SIDE

HEART = (50 / SIDE, 50 / SIDE, 80 / SIDE, 90 / SIDE)
"""Where the scripted family boxes and masks it."""


def chest_record(number: int, **facts: object) -> Record:
    """One radiograph with a prior, a left effusion that grew, and boxes and masks of the heart."""
    told: dict[str, object] = {
        "findings": "There is a left pleural effusion.",
        "impression": "Left pleural effusion.",
        "labels": {"pleural effusion": True, "pneumothorax": False, "lung nodule": None, "dragon": True},
        "boxes": (
            RecordBox("heart", 0, HEART, anatomy=True),
            RecordBox("pleural effusion", 0, (0.7, 0.6, 0.9, 0.7)),
        ),
        "masks": (RecordMask("heart", 0, "heart.png"),),
        "questions": (
            RecordQuestion("Is there Pneumothorax?", "No.", kind="presence"),
            RecordQuestion("What changed?", "The left pleural effusion has increased.", (0, 1), "difference"),
        ),
        "change": "The left pleural effusion has increased.",
    }
    return Record(
        "drawn",
        f"r{number}",
        f"s{number // 2}",
        f"t{number // 2}",
        "test",
        Modality.CXR,
        (RecordImage("chest.png", "PA", spacing_mm=(2.0, 0.5)),),
        (RecordImage("chest.png", "PA"),),
        **{**told, **facts},  # pyright: ignore[reportArgumentType] (fields of a frozen record)
    )


def prepared(folder: Path, *records: Record) -> PreparedDataset:
    """Write pictures and records; a mask of the heart as the script answers it."""
    source = folder / "source"
    source.mkdir(parents=True)
    grey = np.tile(np.linspace(0, 255, SIDE).astype(np.uint8), (SIDE, 1))
    Image.fromarray(grey).save(source / "chest.png")
    heart = np.zeros((SIDE, SIDE), np.uint8)
    heart[50:90, 50:80] = 255
    Image.fromarray(heart).save(source / "heart.png")
    card = DatasetCard(
        "MIMIC-CXR", "1", "CC0", "https://licence", "https://here", "Nobody 2026", "all", "none"
    )
    cases = [Case(record.record_id, lambda record=record: record) for record in records]
    write_prepared(card, cases, folder / "prepared", source=source)
    return PreparedDataset(folder / "prepared")
