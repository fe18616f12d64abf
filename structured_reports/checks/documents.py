"""Rules of the content trees: who says what, about what, with which numbers and coordinates."""

import math
from collections import defaultdict
from collections.abc import Iterator

from pydicom.dataset import Dataset

from structured_reports import codes
from structured_reports.checks.bundle import (
    Bundle,
    evidence_of,
    is_segmentation,
    references_of,
)
from structured_reports.content_tree import (
    TRACKING_IDENTIFIER,
    TRACKING_UID,
    children,
    groups,
    is_named,
    name_code,
    text_of,
    value_code,
    walk,
)

_OBSERVER_TYPE, _DEVICE, _DEVICE_OBSERVER_UID = "121005", "121007", "121012"
_LANGUAGE, _PROCEDURE_REPORTED, _IMAGE_LIBRARY = "121049", "121058", "111028"
_PRESENCES = {code.value for code in codes.PRESENCES.values()}
_CHANGES = {code.value for code in codes.CHANGES.values()}
_CURRENT, _PERTINENT = "CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence"


def observed_by_a_device(ds: Dataset, bundle: Bundle) -> Iterator[str]:
    """PS3.16 TID 1004; no person has observed what an algorithm wrote."""
    names = {name_code(item): item for item in walk(ds)}
    if value_code(names.get(_OBSERVER_TYPE, Dataset())) != _DEVICE:
        yield "no observer of type device"
    if _DEVICE_OBSERVER_UID not in names:
        yield "the device has no UID"
    if ds.get("VerificationFlag") != "UNVERIFIED" or ds.get("VerifyingObserverSequence"):
        yield "claims to be verified"
    if ds.get("CompletionFlag") not in {"COMPLETE", "PARTIAL"}:
        yield "does not say whether it is complete"
    if ds.get("PreliminaryFlag") == "FINAL":
        yield "claims to be final"


def says_what_was_read(ds: Dataset, bundle: Bundle) -> Iterator[str]:
    """Language, procedure and image library, which OHIF dereferences unasked."""
    names = {name_code(item) for item in ds.get("ContentSequence", ())}
    for code, what in (
        (_LANGUAGE, "language"),
        (_PROCEDURE_REPORTED, "procedure reported"),
        (_IMAGE_LIBRARY, "image library"),
    ):
        if code not in names:
            yield f"no {what}"


def says_what_is_absent(ds: Dataset, bundle: Bundle) -> Iterator[str]:
    """Nothing found is said, not left out."""
    if not groups(ds) and not any(value_code(item) for item in walk(ds) if name_code(item) != _LANGUAGE):
        yield "neither a measurement group nor any answer in codes"


def absent_is_no_finding(ds: Dataset, bundle: Bundle) -> Iterator[str]:
    """A reader shows Finding (121071); what is not there must not stand under it, unless it has resolved."""
    absent = {codes.PRESENCES[key].value for key in codes.PRESENCES if key.value == "absent"}
    resolved = {code.value for status, code in codes.CHANGES.items() if status.value == "resolved"}
    for group in groups(ds):
        said = {value_code(item) for item in group.ContentSequence}
        if said & absent and not said & resolved:
            yield "a measurement group says that its finding is absent"


def numbers_can_be_read(ds: Dataset, bundle: Bundle) -> Iterator[str]:
    """Each NUM has a finite value and a unit; a probability lies between 0 and 100 %."""
    for item in walk(ds):
        if item.get("ValueType") != "NUM":
            continue
        values = item.get("MeasuredValueSequence") or ()
        for value in values:
            number = float(value.NumericValue)
            units = [str(unit.get("CodeValue")) for unit in value.get("MeasurementUnitsCodeSequence", ())]
            if not math.isfinite(number):
                yield "a number is not finite"
            if not units:
                yield "a number has no unit"
            if is_named(item, codes.CERTAINTY) and not (0 <= number <= 100 and units == ["%"]):
                yield "a certainty is not between 0 and 100 %"


def measurements_name_their_region(ds: Dataset, bundle: Bundle) -> Iterator[str]:
    """What was measured can be looked up: an image, a segment or a region in the same group."""
    for group in groups(ds):
        types = {str(item.get("ValueType")) for item in walk(group)}
        if "NUM" in types and not types & {"IMAGE", "SCOORD", "SCOORD3D", "COMPOSITE", "UIDREF"}:
            yield "a measurement names nothing that it was measured on"


def coordinates_lie_inside(ds: Dataset, bundle: Bundle) -> Iterator[str]:
    """2D coordinates lie on their image; one of several frames is named by its number."""
    for item in walk(ds):
        if item.get("ValueType") != "SCOORD":
            continue
        selected = [
            reference for child in item.get("ContentSequence", ()) for reference in references_in(child)
        ]
        if not selected:
            yield "a region names no image"
        for uid, frames in selected:
            image = bundle.images.get(uid)
            if image is None:
                continue
            columns, rows = int(image.Columns), int(image.Rows)
            data = [float(value) for value in item.GraphicData]
            if not all(0 <= x <= columns for x in data[0::2]) or not all(0 <= y <= rows for y in data[1::2]):
                yield "a region leaves its image"
            if int(image.get("NumberOfFrames") or 1) > 1 and not frames:
                yield "a region on one of several frames does not say which"


def references_in(item: Dataset) -> Iterator[tuple[str, bool]]:
    """Yield the UID that an item references, and whether it names a frame."""
    for reference in item.get("ReferencedSOPSequence", ()):
        yield str(reference.get("ReferencedSOPInstanceUID")), "ReferencedFrameNumber" in reference


def boxes_stand_alone(ds: Dataset, bundle: Bundle) -> Iterator[str]:
    """OHIF looks for a region inside the first NUM of a group if there is one: the box would not be found."""
    for group in groups(ds):
        types = {str(item.get("ValueType")) for item in group.ContentSequence}
        if {"NUM", "SCOORD"} <= types:
            yield "a measurement group holds a number beside a region"


def groups_are_tracked(ds: Dataset, bundle: Bundle) -> Iterator[str]:
    """Every group has both identifiers; within a report one UID means one thing."""
    meant: dict[str, set[str]] = defaultdict(set)
    for group in groups(ds):
        uids = [str(item.UID) for item in children(group, TRACKING_UID)]
        if not uids or not text_of(group, TRACKING_IDENTIFIER):
            yield "a measurement group has no tracking identifier or no tracking UID"
        for uid in uids:
            meant[uid] |= {value_code(item) for item in children(group, codes.FINDING)}
    if any(len(findings) > 1 for findings in meant.values()):
        yield "one tracking UID stands for two findings"


def segments_are_the_same(ds: Dataset, bundle: Bundle) -> Iterator[str]:
    """A group and the segment that it names have the same tracking UID."""
    for group in groups(ds):
        uid = next((str(item.UID) for item in children(group, TRACKING_UID)), "")
        for item in walk(group):
            for reference in item.get("ReferencedSOPSequence", ()):
                named = bundle.result(str(reference.get("ReferencedSOPInstanceUID")))
                if named is None or not is_segmentation(named):
                    continue
                known = {str(segment.get("TrackingUID")) for segment in named.SegmentSequence}
                if uid not in known:
                    yield "a segment that a group names has another tracking UID than the group"


def references_are_evidence(ds: Dataset, bundle: Bundle) -> Iterator[str]:
    """What is named is listed: this study's as current, others' as pertinent (PS3.3 C.17.2)."""
    current, pertinent = (list(evidence_of(ds, keyword)) for keyword in (_CURRENT, _PERTINENT))
    listed = {reference.sop_instance_uid for _, reference in (*current, *pertinent)}
    if {reference.sop_instance_uid for reference in references_of(ds)} - listed:
        yield "names an instance that its evidence does not list"
    if any(study != ds.get("StudyInstanceUID") for study, _ in current):
        yield "lists another study as current evidence"
    if any(study == ds.get("StudyInstanceUID") for study, _ in pertinent):
        yield "lists its own study as other evidence"
    counts = [reference.sop_instance_uid for _, reference in (*current, *pertinent)]
    if len(counts) != len(set(counts)):
        yield "lists an instance twice"


def names_every_result(ds: Dataset, bundle: Bundle) -> Iterator[str]:
    """The report of a run is its root: segmentations of the same study and equipment are in its evidence."""
    listed = {reference.sop_instance_uid for _, reference in evidence_of(ds, _CURRENT)}
    for other in bundle.results:
        same = all(
            other.get(keyword) == ds.get(keyword)
            for keyword in ("StudyInstanceUID", "Manufacturer", "ContentDate", "ContentTime")
        )
        if is_segmentation(other) and same and str(other.SOPInstanceUID) not in listed:
            yield "does not list a segmentation of the same run"


def changes_have_a_baseline(ds: Dataset, bundle: Bundle) -> Iterator[str]:
    """A change is coded in known codes and names the prior image it is measured from."""
    others = {reference.sop_instance_uid for _, reference in evidence_of(ds, _PERTINENT)}
    for group in groups(ds):
        changes = list(children(group, codes.CHANGED_STATUS))
        for item in changes:
            if value_code(item) not in _CHANGES:
                yield "a change is said in a code that is not of the reviewed table"
        baseline = [uid for item in children(group, codes.BASELINE) for uid, _ in references_in(item)]
        if changes and not set(baseline) & others:
            yield "a change names no prior image"


def presences_are_known(ds: Dataset, bundle: Bundle) -> Iterator[str]:
    for group in groups(ds):
        if any(value_code(item) not in _PRESENCES for item in children(group, codes.PRESENCE)):
            yield "a presence is said in a code outside of CID 240"


def predecessors_are_reports(ds: Dataset, bundle: Bundle) -> Iterator[str]:
    """A re-run names the report that it follows, and is another instance."""
    for _, reference in evidence_of(ds, "PredecessorDocumentsSequence"):
        if not reference.sop_class_uid.startswith("1.2.840.10008.5.1.4.1.1.88."):
            yield "names a predecessor that is no document"
        if reference.sop_instance_uid == str(ds.SOPInstanceUID):
            yield "names itself as its predecessor"


def local_codes_are_declared(ds: Dataset, bundle: Bundle) -> Iterator[str]:
    """A scheme of one's own (99…) is identified in the object (PS3.3 C.12.1.1.1.1)."""
    schemes = {str(item.get("CodingSchemeDesignator") or "") for item in _items(ds)}
    declared = {
        str(item.get("CodingSchemeDesignator")) for item in ds.get("CodingSchemeIdentificationSequence", ())
    }
    if {scheme for scheme in schemes if scheme.startswith("99")} - declared:
        yield "uses a local coding scheme that it does not identify"


def _items(ds: Dataset) -> Iterator[Dataset]:
    """Yield every item of every sequence, but not the list of schemes itself."""
    for element in ds:
        if element.VR == "SQ" and element.keyword != "CodingSchemeIdentificationSequence":
            for item in element.value:
                yield item
                yield from _items(item)
