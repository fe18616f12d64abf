"""A reading in lines for people, without the patient's identity."""

from collections.abc import Iterator

from model.reading import BoundingBox, Finding, Mask, Modality, Reading, ReadingRequest
from model.segments import volume_ml
from model.volume import PlanarImage, Volume
from structured_reports.provenance import model_version, statements
from structured_reports.wording import named
from worker.answer_values import Images, area_cm2, spacing_mm, stored_size
from worker.settings import software_version

_KINDS = {Modality.CXR: "chest radiograph", Modality.CT: "CT", Modality.DERM: "photograph of skin"}


def lines_of(reading: Reading, request: ReadingRequest, words: str | None) -> Iterator[str]:
    """Say the answer, what was concluded from it, what to beware of, and which model spoke."""
    yield from _pictures(reading, request)
    yield ""
    if words is not None and reading.answers:
        yield f"? {words}"
        yield f"> {reading.answers[-1].text}"
    else:
        for answer in reading.answers:
            yield f"? {answer.request}"
            yield f"> {answer.text}"
    if reading.abstention is not None:
        yield from ("", f"Declined: {reading.abstention}")
    for title, lines in conclusions_of(reading, request):
        yield from ("", title, *(f"  {line}" for line in lines))
    if reading.caveats:
        yield from ("", "Beware", *(f"  {caveat}" for caveat in reading.caveats))
    model = reading.model
    place = f"{reading.conditions.device} {reading.conditions.precision}"
    yield ""
    yield f"{model.name} {model_version(model)}, {place}, medversa-node {software_version()}"
    yield from statements(model)


def conclusions_of(reading: Reading, request: ReadingRequest) -> Iterator[tuple[str, list[str]]]:
    """Say findings, places, sizes and changes, each under its title; nothing that is empty."""
    images = Images(request)
    boxes = [*reading.boxes, *(box for finding in reading.findings for box in finding.boxes)]
    sections = {
        "Findings": [_finding(finding) for finding in reading.findings],
        "Boxes, x1 y1 x2 y2 in pixels": [_box(box, images) for box in boxes],
        "Masks": [_mask(mask, images) for mask in reading.masks],
        "Regions": [f"{_box(caption.box, images)}: {caption.text}" for caption in reading.captions],
    }
    for comparison in reading.comparisons:
        changes = [f"{named(c.label, c.laterality)}: {c.status}" for c in comparison.changes]
        sections[f"Since prior {comparison.prior + 1}"] = changes
    yield from ((title, lines) for title, lines in sections.items() if lines)


def _pictures(reading: Reading, request: ReadingRequest) -> Iterator[str]:
    """Say what each `<imgN>` is."""
    kind, number = _KINDS[reading.modality], 0
    for image in request.images:
        yield f"<img{number}> {kind}, {_extent(image)}"
        number += 1
    for prior in request.priors:
        age = "of unknown date" if prior.days_before is None else f"{prior.days_before} days before"
        for image in prior.images:
            yield f"<img{number}> prior, {age}, {_extent(image)}"
            number += 1


def _extent(image: PlanarImage | Volume) -> str:
    if isinstance(image, Volume):
        return f"{len(image.voxels)} slices"
    rows, columns = stored_size(image)
    return f"{columns} x {rows} pixels"


def _finding(finding: Finding) -> str:
    sure = "" if finding.certainty is None else f" ({100 * finding.certainty:.0f} %)"
    return f"{named(finding.label, finding.laterality)}: {finding.presence}{sure}"


def _box(box: BoundingBox, images: Images) -> str:
    (j0, i0), (j1, i1) = box.low, box.high
    text = f"{named(box.label, box.laterality)}: {i0:.0f} {j0:.0f} {i1:.0f} {j1:.0f} on {images.tag_of(box)}"
    spacing = spacing_mm(images.of(box))
    return (
        text if spacing is None else f"{text}, {(i1 - i0) * spacing[1]:.0f} x {(j1 - j0) * spacing[0]:.0f} mm"
    )


def _mask(mask: Mask, images: Images) -> str:
    name = named(mask.label, mask.laterality)
    if (volume := volume_ml(mask)) is not None:
        return f"{name}: {volume:.0f} ml in {int(mask.voxels.any(axis=(1, 2)).sum())} slices"
    area = area_cm2(mask, images.of(mask))
    text = f"{name}: {100 * mask.voxels.mean():.1f} % of {images.tag_of(mask)}"
    return text if area is None else f"{text}, {area:.0f} cm2"
