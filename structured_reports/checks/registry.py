"""Every rule that `medversa-node conformance` judges by, and the one call that does.

A1 to A20 are IHE AI Results (AIR) as far as its public descriptions say: self-tested, not certified.
"""

from collections.abc import Iterator

from pydicom.dataset import Dataset

from structured_reports.checks import documents, objects
from structured_reports.checks.bundle import (
    Bundle,
    is_document,
    is_imaging_measurement_report,
    is_report,
    is_segmentation,
)
from structured_reports.checks.check import Check, Judgement, judged


def any_object(ds: Dataset) -> bool:
    return True


CHECKS: tuple[Check, ...] = (
    Check(
        "A1",
        "filed with the images it speaks of",
        any_object,
        objects.filed_with_its_source,
        needs_images=True,
    ),
    Check("A2", "in a series of its kind that says AI", any_object, objects.in_a_series_of_its_kind),
    Check("A3", "an identity of its own", any_object, objects.has_its_own_identity),
    Check("A4", "says who made it, and that it is processed", any_object, objects.says_who_made_it),
    Check("A5", "observed by a device, not verified", is_report, documents.observed_by_a_device),
    Check(
        "A6",
        "language, procedure and image library",
        is_imaging_measurement_report,
        documents.says_what_was_read,
    ),
    Check("A7", "what is absent is said", is_imaging_measurement_report, documents.says_what_is_absent),
    Check("A8", "numbers with units, on something", is_report, documents.numbers_can_be_read),
    Check("A8b", "measurements name their region", is_report, documents.measurements_name_their_region),
    Check("A9", "coordinates lie inside their image", is_report, documents.coordinates_lie_inside),
    Check("A10", "segments say what they are", is_segmentation, objects.segments_say_what_they_are),
    Check(
        "A10b",
        "segments lie on their source",
        is_segmentation,
        objects.segments_lie_on_their_source,
        needs_images=True,
    ),
    Check("A10c", "frames name their source", is_segmentation, objects.frames_name_their_source),
    Check("A12", "report and segment are tracked alike", is_report, documents.segments_are_the_same),
    Check("A14", "groups are tracked", is_imaging_measurement_report, documents.groups_are_tracked),
    Check("A15", "references are evidence", is_document, documents.references_are_evidence),
    Check(
        "A16", "the report names every result", is_imaging_measurement_report, documents.names_every_result
    ),
    Check("A17", "changes have a baseline", is_report, documents.changes_have_a_baseline),
    Check("A18", "predecessors are reports", is_report, documents.predecessors_are_reports),
    Check("R1", "boxes stand without numbers (OHIF)", is_report, documents.boxes_stand_alone),
    Check("R2", "what is absent is no finding", is_report, documents.absent_is_no_finding),
    Check("R3", "presence in known codes", is_report, documents.presences_are_known),
    Check("R4", "local codes are declared", is_document, documents.local_codes_are_declared),
    Check("R5", "nothing private, no comments, no operator", any_object, objects.keeps_secrets),
)

NOT_FROM_OBJECTS = {
    "A11": "validators and other readers judge files: see the column of dciodvfy",
    "A13": "no parametric map is judged yet",
    "A19": "storage and commitment are seen in a transfer, not in objects",
    "A20": "queries are answered by an archive",
}
"""Why the others of AIR are not among them."""


def judge(bundle: Bundle) -> Iterator[Judgement]:
    """Judge every result of a bundle by every rule that applies to it."""
    for ds in bundle.results:
        for check in CHECKS:
            if (judgement := judged(check, ds, bundle)) is not None:
                yield judgement
