"""A reading as plain values for programs: labels and places, no patient."""

from dataclasses import asdict
from typing import Any

from model.reading import BoundingBox, Mask, Reading, ReadingRequest
from model.segments import volume_ml
from model.volume import PlanarImage, Volume
from structured_reports.provenance import statements
from worker.request import frames_of
from worker.settings import software_version


class Images:
    """The images of a request by their `<imgN>`."""

    def __init__(self, request: ReadingRequest) -> None:
        self._all = [*request.images, *(image for prior in request.priors for image in prior.images)]
        self._studies = ["current"] * len(request.images)
        for n, prior in enumerate(request.priors, start=1):
            self._studies += [f"prior {n}"] * len(prior.images)
        self._of_frame = {frame: n for n, image in enumerate(self._all) for frame in frames_of(image)}

    def tag_of(self, item: BoundingBox | Mask) -> str:
        return f"<img{self._of_frame[item.frame if isinstance(item, BoundingBox) else item.frames[0]]}>"

    def of(self, item: BoundingBox | Mask) -> PlanarImage | Volume:
        return self._all[self._of_frame[item.frame if isinstance(item, BoundingBox) else item.frames[0]]]

    def values(self) -> list[dict[str, Any]]:
        return [
            {
                "tag": f"<img{n}>",
                "study": study,
                "sop_instance_uids": list(
                    dict.fromkeys(frame.sop_instance_uid for frame in frames_of(image))
                ),
            }
            for n, (study, image) in enumerate(zip(self._studies, self._all, strict=True))
        ]


def values_of(reading: Reading, request: ReadingRequest, words: str | None) -> dict[str, Any]:
    """Give a reading as values that JSON holds; boxes are x1, y1, x2, y2 in stored pixels of their image."""
    images = Images(request)
    return {
        "request": words,
        "answer": reading.answers[-1].text if reading.answers else None,
        "abstention": reading.abstention,
        "modality": reading.modality,
        "tasks_done": reading.tasks_done,
        "findings": [
            {
                **{key: value for key, value in asdict(finding).items() if key != "boxes"},
                "boxes": [_box_values(box, images) for box in finding.boxes],
            }
            for finding in reading.findings
        ],
        "boxes": [_box_values(box, images) for box in reading.boxes],
        "masks": [_mask_values(mask, images) for mask in reading.masks],
        "comparisons": [asdict(comparison) for comparison in reading.comparisons],
        "disagreements": [asdict(disagreement) for disagreement in reading.disagreements],
        "narrative": asdict(reading.narrative) if reading.narrative else None,
        "captions": [
            {**_box_values(caption.box, images), "text": caption.text} for caption in reading.captions
        ],
        "caveats": reading.caveats,
        "answers": [asdict(answer) for answer in reading.answers],
        "images": images.values(),
        "model": asdict(reading.model),
        "conditions": asdict(reading.conditions),
        "seed": reading.seed,
        "software_version": software_version(),
        "notices": statements(reading.model),
    }


def area_cm2(mask: Mask, image: PlanarImage | Volume) -> float | None:
    """The area of a planar mask; None for a volume, or where the header gives no spacing."""
    spacing = spacing_mm(image)
    return None if spacing is None else float(mask.voxels.sum()) * spacing[0] * spacing[1] / 100


def stored_size(image: PlanarImage) -> tuple[int, int]:
    """Rows and Columns of the instance."""
    rows, columns = image.pixels.shape[:2]
    return (columns, rows) if image.orientation.transposed else (rows, columns)


def spacing_mm(image: PlanarImage | Volume) -> tuple[float, float] | None:
    """Distance of stored rows and of stored columns; None for a volume, or where the header gives none."""
    if isinstance(image, Volume) or image.spacing_mm is None:
        return None
    down, across = image.spacing_mm
    return (across, down) if image.orientation.transposed else (down, across)


def _box_values(box: BoundingBox, images: Images) -> dict[str, Any]:
    (j0, i0), (j1, i1) = box.low, box.high
    return {
        "label": box.label,
        "laterality": box.laterality,
        "image": images.tag_of(box),
        "corners": [round(edge, 2) for edge in (i0, j0, i1, j1)],
    }


def _mask_values(mask: Mask, images: Images) -> dict[str, Any]:
    return {
        "label": mask.label,
        "laterality": mask.laterality,
        "image": images.tag_of(mask),
        "voxels": int(mask.voxels.sum()),
        "slices": int(mask.voxels.any(axis=(1, 2)).sum()),
        "volume_ml": volume_ml(mask),
        "area_cm2": area_cm2(mask, images.of(mask)),
    }
