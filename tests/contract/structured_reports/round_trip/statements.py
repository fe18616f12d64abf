"""What a reading states, and what the content tree of a report states, in one form to be compared."""

from collections import Counter
from dataclasses import dataclass, field

from model.reading import (
    BoundingBox,
    Change,
    ChangeStatus,
    Finding,
    Laterality,
    Mask,
    Modality,
    Presence,
    Reading,
)
from structured_reports.codes import REGIONS, Concept, concept_of
from structured_reports.sources import Sources
from tests.contract.structured_reports.round_trip.content_nodes import Node

SIDES = {None: "", Laterality.LEFT: "7771000", Laterality.RIGHT: "24028007", Laterality.BILATERAL: "51440002"}
PRESENCES = {Presence.PRESENT: "52101004", Presence.ABSENT: "272519000", Presence.UNDETERMINED: "373068000"}
STATUSES = {
    ChangeStatus.NEW: "7147002",
    ChangeStatus.INCREASED: "35105006",
    ChangeStatus.DECREASED: "1250004",
    ChangeStatus.UNCHANGED: "260388006",
    ChangeStatus.RESOLVED: "413322009",
}
"""SNOMED CT codes of PS3.16 CID 244, 240, and of the reviewed table of changes."""


@dataclass(frozen=True, slots=True)
class Statement:
    """That something is there, may be, or is no longer."""

    finding: str
    side: str
    presence: str
    certainty: str = ""
    """Per cent, one decimal."""
    status: str = ""
    baseline: str = ""
    """SOP Instance UID of the image that a change is measured against."""
    is_contested: bool = False
    severity: str = ""
    """The report's own word."""


@dataclass(frozen=True, slots=True)
class Region:
    """That something lies in a rectangle of a frame."""

    finding: str
    side: str
    sop_instance_uid: str
    frame: int
    points: tuple[tuple[float, float], ...]
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Segment:
    """That a mask was written of something, and how large it is."""

    finding: str
    side: str
    size: str
    """Volume in cm3, or area of skin in cm2, in four digits; empty where none can be measured."""


@dataclass(slots=True)
class Stated:
    """Everything that is compared, counted."""

    statements: Counter[Statement] = field(default_factory=Counter[Statement])
    absent: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    regions: Counter[Region] = field(default_factory=Counter[Region])
    segments: Counter[Segment] = field(default_factory=Counter[Segment])
    texts: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    """Concept name and words, of what the model wrote."""


def stated_by_reading(reading: Reading, sources: Sources, area_mm2: float | None) -> Stated:
    """Work out what a report of a generated reading must say; `area_mm2` is that of a pixel on skin."""
    region = REGIONS[reading.modality]
    concepts = {label: concept_of(label, region) for label in _labels(reading)}
    stated = Stated(texts=_texts(reading, sources))
    contested = {each.label for each in reading.disagreements}
    statuses = _changes_of_findings(reading, sources)
    for finding in reading.findings:
        concept = concepts[finding.label]
        side = SIDES[concept.side(finding.laterality)]
        if finding.presence is Presence.ABSENT:
            # Of exclusive classes of skin lesions those not chosen are said in words only.
            if reading.modality is not Modality.DERM:
                stated.absent[concept.code.value, SIDES[finding.laterality]] += 1
            continue
        stated.statements[
            Statement(
                concept.code.value,
                side,
                PRESENCES[finding.presence],
                _certainty(finding),
                *statuses.get(finding.label, ("", "")),
                is_contested=finding.label in contested,
                severity=finding.severity or "",
            )
        ] += 1
        for box in finding.boxes:
            stated.regions[_region(box, concept, box.laterality or finding.laterality)] += 1
    for change, baseline in _further_changes(reading, sources):
        concept = concepts[change.label]
        presence = Presence.ABSENT if change.status is ChangeStatus.RESOLVED else Presence.PRESENT
        stated.statements[
            Statement(
                concept.code.value,
                SIDES[concept.side(change.laterality)],
                PRESENCES[presence],
                status=STATUSES[change.status],
                baseline=baseline,
            )
        ] += 1
    for box in reading.boxes:
        stated.regions[_region(box, concepts[box.label], box.laterality)] += 1
    for caption in reading.captions:
        stated.regions[_region(caption.box, None, None, caption.text)] += 1
    for mask in reading.masks:
        if mask.voxels.any():
            concept = concepts[mask.label]
            side = SIDES[concept.side(mask.laterality)]
            stated.segments[Segment(concept.code.value, side, _size(mask, area_mm2))] += 1
    return stated


def stated_by_report(root: Node) -> Stated:
    """Collect what the content tree of a report says."""
    stated = Stated()
    for node in root.walk():
        if node.name == "125007":
            _add_group(stated, node)
        if node.name == "ABSENT_FINDINGS":
            answers = [child for child in node.children if child.value == PRESENCES[Presence.ABSENT]]
            stated.absent.update((answer.name, answer.value_of("272741003")) for answer in answers)
        if node.kind == "text":
            stated.texts[node.name, node.value] += 1
    return stated


def _add_group(stated: Stated, group: Node) -> None:
    finding = group.value_of("121071")
    side = next((site.value_of("272741003") for site in group.named("363698007")), "")
    drawn = next((child for child in group.children if child.kind == "scoord"), None)
    is_segment = any(True for name in ("121191", "121214") for _ in group.named(name))
    if drawn is not None:
        (source,) = drawn.children
        points = tuple((round(x, 3), round(y, 3)) for x, y in drawn.points)
        caption = group.value_of("111058")
        stated.regions[Region(finding, side, source.value, source.frame, points, caption)] += 1
    elif is_segment:
        size = group.value_of("118565006") or group.value_of("42798000")
        stated.segments[Segment(finding, side, f"{float(size):.4g}" if size else "")] += 1
    else:
        certainty = group.value_of("111012")
        stated.statements[
            Statement(
                finding,
                side,
                group.value_of("705057003"),
                f"{float(certainty):.1f}" if certainty else "",
                group.value_of("263703002"),
                group.value_of("121079"),
                group.value_of("CONSISTENCY") == "CONTESTED",
                group.value_of("246112005"),
            )
        ] += 1


def _labels(reading: Reading) -> set[str]:
    said = (*reading.findings, *reading.boxes, *reading.masks)
    changes = (change for comparison in reading.comparisons for change in comparison.changes)
    return {each.label for each in said} | {change.label for change in changes}


def _certainty(finding: Finding) -> str:
    """A certainty is the probability of what is concluded: of what may be there it would mislead."""
    is_said = finding.certainty is not None and finding.presence is Presence.PRESENT
    return f"{100 * finding.certainty:.1f}" if is_said else ""


def _changes_of_findings(reading: Reading, sources: Sources) -> dict[str, tuple[str, str]]:
    stated = {f.label for f in reading.findings if f.presence is not Presence.ABSENT}
    return {
        change.label: (STATUSES[change.status], _baseline(sources, comparison.prior))
        for comparison in reading.comparisons
        for change in comparison.changes
        if change.label in stated
    }


def _further_changes(reading: Reading, sources: Sources) -> list[tuple[Change, str]]:
    of_findings = _changes_of_findings(reading, sources)
    return [
        (change, _baseline(sources, comparison.prior))
        for comparison in reading.comparisons
        for change in comparison.changes
        if change.label not in of_findings
    ]


def _baseline(sources: Sources, prior: int) -> str:
    return str(sources.priors[prior].instances[0].SOPInstanceUID)


def _region(box: BoundingBox, concept: Concept | None, side: Laterality | None, caption: str = "") -> Region:
    (top, left), (bottom, right) = box.low, box.high
    points = ((left, top), (right, top), (right, bottom), (left, bottom), (left, top))
    name = concept.code.value if concept else "REGION_DESCRIBED"
    said_side = SIDES[concept.side(side)] if concept else ""
    return Region(name, said_side, box.frame.sop_instance_uid, box.frame.frame_number, points, caption)


def _size(mask: Mask, area_mm2: float | None) -> str:
    if mask.geometry is not None:
        return f"{mask.voxels.sum() * mask.geometry.voxel_volume_mm3 / 1000:.4g}"
    return f"{mask.voxels.sum() * area_mm2 / 100:.4g}" if area_mm2 is not None else ""


def _texts(reading: Reading, sources: Sources) -> Counter[tuple[str, str]]:
    """Collect the words of the model by the concept that names them; lines end as UT has it."""
    texts: list[tuple[str, str]] = []
    if reading.narrative:
        texts += [("121071", reading.narrative.findings), ("121073", reading.narrative.impression)]
    for comparison in reading.comparisons:
        date = sources.priors[comparison.prior].study_date
        day = f"{date[:4]}-{date[4:6]}-{date[6:]}"
        texts.append(("111424", f"Compared with the prior study of {day}.\n{comparison.text}"))
        texts += [("121106", change.evidence) for change in comparison.changes]
    texts += [("121106", f.evidence) for f in reading.findings if f.presence is not Presence.ABSENT]
    texts += [("111058", caption.text) for caption in reading.captions]
    for answer in reading.answers:
        texts += [("QUESTION", answer.request), ("ANSWER", answer.text)]
    texts += [("121106", caveat) for caveat in reading.caveats]
    return Counter((name, words.replace("\n", "\r\n")) for name, words in texts if words)
