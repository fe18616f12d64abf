"""Writes small downloads in the layouts that PhysioNet publishes, with drawn pixels and invented reports."""

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

JPG, CXR = "mimic-cxr-jpg/2.1.0", "mimic-cxr/2.1.0"
COLUMNS, ROWS = 40, 50

LATERAL, FRONTAL = "aaaaaaaa-lateral", "bbbbbbbb-frontal"
LATER, TESTED = "cccccccc-later", "dddddddd-tested"
"""The two views of a patient's first study, the second study of that patient, and another patient."""

IMAGES = (
    (LATERAL, "10000001", "50000001", "LATERAL"),
    (FRONTAL, "10000001", "50000001", "PA"),
    (LATER, "10000001", "50000002", "AP"),
    (TESTED, "12000003", "50000003", "AP"),
)
SPLITS = {"50000001": "train", "50000002": "validate", "50000003": "test"}

REPORTS = {
    "50000001": (
        "                                 FINAL REPORT\n EXAMINATION:  CHEST (PA AND LAT)\n \n"
        " INDICATION:  Cough.\n \n COMPARISON:  None.\n \n FINDINGS: \n \n"
        " The lungs are clear.  There is no\n pleural effusion.\n \n IMPRESSION: \n \n No acute process.\n"
    ),
    "50000002": " FINAL REPORT\n HISTORY:  Fever.\n \n IMPRESSION:  New right effusion.\n",
    "50000003": " FINAL REPORT\n CHEST, TWO VIEWS:  Cardiomegaly.\n",
}

_OBSERVATIONS = ("Atelectasis", "Cardiomegaly", "Edema", "No Finding", "Pleural Effusion", "Pneumonia")
CHEXPERT = {
    "50000001": {"No Finding": "1.0"},
    "50000002": {"Pleural Effusion": "1.0", "Pneumonia": "-1.0", "Edema": "0.0"},
    "50000003": {"Cardiomegaly": "1.0"},
}
NEGBIO = CHEXPERT | {"50000003": {"Cardiomegaly": "0.0"}}


def image_file(dicom_id: str) -> str:
    """Where an image lies in its project."""
    subject, study = next((s, t) for d, s, t, _ in IMAGES if d == dicom_id)
    return f"files/p{subject[:2]}/p{subject}/s{study}/{dicom_id}.jpg"


def draw_mimic(source: Path) -> Path:
    """MIMIC-CXR-JPG with its tables and images, and the reports of MIMIC-CXR."""
    for n, (dicom_id, *_) in enumerate(IMAGES):
        path = source / JPG / image_file(dicom_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(n).integers(0, 256, (ROWS, COLUMNS), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    folder = source / JPG
    write_table(folder / "mimic-cxr-2.0.0-metadata.csv.gz", map(_metadata, IMAGES))
    write_table(
        folder / "mimic-cxr-2.0.0-split.csv.gz",
        ({"dicom_id": d, "study_id": t, "subject_id": s, "split": SPLITS[t]} for d, s, t, _ in IMAGES),
    )
    for name, labels in (("chexpert", CHEXPERT), ("negbio", NEGBIO)):
        rows = (
            {"subject_id": "1", "study_id": t} | dict.fromkeys(_OBSERVATIONS, "") | labels[t] for t in SPLITS
        )
        write_table(folder / f"mimic-cxr-2.0.0-{name}.csv.gz", rows)
    draw_reports(source, REPORTS)
    return source


def draw_reports(source: Path, reports: Mapping[str, str]) -> None:
    (source / CXR).mkdir(parents=True, exist_ok=True)
    subjects = {study: subject for _, subject, study, _ in IMAGES}
    with zipfile.ZipFile(source / CXR / "mimic-cxr-reports.zip", "w") as archive:
        for study, text in reports.items():
            subject = subjects[study]
            archive.writestr(f"files/p{subject[:2]}/p{subject}/s{study}.txt", text)


def _metadata(image: tuple[str, str, str, str]) -> dict[str, str]:
    dicom_id, subject, study, view = image
    return {
        "dicom_id": dicom_id,
        "subject_id": subject,
        "study_id": study,
        "PerformedProcedureStepDescription": "CHEST (PA AND LAT)",
        "ViewPosition": view,
        "Rows": str(ROWS),
        "Columns": str(COLUMNS),
        "StudyDate": "21800506",
        "StudyTime": "213014.531",
    }


def write_table(path: Path, rows: Iterable[Mapping[str, str]]) -> None:
    """Write rows as comma separated values, gzipped where the name says so."""
    listed = list(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, listed[0].keys())
    writer.writeheader()
    writer.writerows(listed)
    content = text.getvalue().encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


IMAGENOME = "chest-imagenome/1.0.0/silver_dataset"


def graph(dicom_id: str, **more: object) -> dict[str, object]:
    """A scene graph with two structures, one of which reaches out of the image, as published."""
    return {
        "image_id": dicom_id,
        "viewpoint": "PA",
        "patient_id": 10000001,
        "study_id": 50000001,
        "gender": "F",
        "age_decile": "60-70",
        "reason_for_exam": "___ year old\n with cough",
        "StudyOrder": 1,
        "StudyDateTime": "2180-05-06 21:30:14 UTC",
        "objects": [
            thing(dicom_id, "right lung", (4, 10, 20, 40)),
            thing(dicom_id, "left lung", (22, -5, 60, 40)),
            thing(dicom_id, "spine", (20, 10, 20, 40)),
        ],
        "attributes": [
            {
                "right lung": True,
                "bbox_name": "right lung",
                "synsets": ["C0225706"],
                "name": "Right lung",
                "attributes": [
                    ["anatomicalfinding|yes|lung opacity", "disease|yes|pneumonia", "nlp|yes|abnormal"],
                    ["anatomicalfinding|no|pneumothorax"],
                ],
                "attributes_ids": [["CL556823", "C0032285", "C0205161"], [""]],
                "phrases": ["There is a right opacity,\n likely pneumonia.", "No pneumothorax."],
                "phrase_IDs": ["50000001|1", "50000001|2"],
                "sections": ["finalreport", "finalreport"],
                "comparison_cues": [[], []],
                "temporal_cues": [[], []],
                "severity_cues": [[], []],
                "texture_cues": [[], []],
                "object_id": f"{dicom_id}_right lung",
            },
            {
                "left lung": True,
                "bbox_name": "left lung",
                "attributes": [["anatomicalfinding|no|lung opacity", "anatomicalfinding|no|pneumothorax"]],
                "phrases": ["No pneumothorax."],
                "object_id": f"{dicom_id}_left lung",
            },
            {
                "unknown": True,
                "bbox_name": "unknown",
                "attributes": [["tubesandlines|yes|enteric tube", "technicalassessment|yes|rotated"]],
                "phrases": ["Enteric tube."],
                "object_id": f"{dicom_id}_unknown",
            },
        ],
        "relationships": [],
        **more,
    }


def thing(dicom_id: str, name: str, box: tuple[int, int, int, int]) -> dict[str, object]:
    """An object: its rectangle in the squared image of 224 pixels, and in the original one."""
    x1, y1, x2, y2 = box
    return {
        "object_id": f"{dicom_id}_{name}",
        "x1": 1,
        "y1": 1,
        "x2": 2,
        "y2": 2,
        "width": 1,
        "height": 1,
        "bbox_name": name,
        "synsets": [],
        "name": name.capitalize(),
        "original_x1": x1,
        "original_y1": y1,
        "original_x2": x2,
        "original_y2": y2,
        "original_width": x2 - x1,
        "original_height": y2 - y1,
    }


def relation(
    now: str, before: str, place: str, ways: Sequence[str], said: Sequence[str]
) -> dict[str, object]:
    """A comparison of one structure on two images."""
    return {
        "relationship_id": f"{now}|1|{place}",
        "predicate": "['No status change']",
        "synsets": ["C0442739"],
        "relationship_names": [f"comparison|yes|{way}" for way in ways],
        "relationship_contexts": [1.0 for _ in ways],
        "phrase": "Opacity as before.",
        "satisfies": [],
        "attributes": [f"anatomicalfinding|yes|{name}" for name in said],
        "bbox_name": place,
        "subject_id": f"{now}_{place}",
        "object_id": f"{before}_{place}",
    }


def draw_imagenome(source: Path, graphs: Mapping[str, object], avoided: Sequence[str] = ("none",)) -> None:
    (source / IMAGENOME).mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(source / IMAGENOME / "scene_graph.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for dicom_id, content in graphs.items():
            archive.writestr(f"scene_graph/{dicom_id}_SceneGraph.json", json.dumps(content))
    rows = [
        {"subject_id": "1", "study_id": "2", "dicom_id": name, "path": "", "ViewPosition": "PA"}
        for name in avoided
    ]
    write_table(source / IMAGENOME / "splits/images_to_avoid.csv", rows)
