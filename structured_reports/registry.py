"""Which writers there are, and the calls that make all results of a reading."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pydicom.dataset import Dataset

from model.reading import Reading
from structured_reports.errors import ConstructionError, SourceError
from structured_reports.headers import identified, normalised
from structured_reports.profiles import PROFILES, Profile
from structured_reports.sources import Run, Sources
from structured_reports.writers.document import write_documents
from structured_reports.writers.key_objects import write_key_objects
from structured_reports.writers.narrative import write_narrative
from structured_reports.writers.presentation_state import write_presentation_states
from structured_reports.writers.secondary_capture import write_secondary_captures
from structured_reports.writers.segmentation import (
    write_label_maps,
    write_segmentations,
    write_segmentations_for_ohif,
)
from structured_reports.writers.tid1500 import ReportClass, write_report
from structured_reports.writers.writer import Draft, Writer

WRITERS: dict[str, Writer] = {
    "segmentation": write_segmentations,
    "segmentation for OHIF": write_segmentations_for_ohif,
    "label map": write_label_maps,
    "presentation state": write_presentation_states,
    "key objects": write_key_objects,
    "narrative": write_narrative,
}
"""Writers that refer to sources only, in sending order. The report names what they wrote and comes after
them; pictures are drawn from all of it."""

REPORT = "report"
DRAWN: dict[str, Writer] = {"secondary capture": write_secondary_captures, "document": write_documents}
"""Writers that draw everything, also what their profile does not send; nothing refers to what they write."""


def write_results(
    reading: Reading,
    sources: Sources,
    run: Run,
    profile: Profile = Profile.AIR,
    *,
    report_class: ReportClass | None = None,
) -> tuple[Dataset, ...]:
    """Say a reading in DICOM, as one profile has it; `report_class` overrides that of the profile.

    Every object has its file meta information and can be written as it is. Equal arguments give equal bytes.

    Raises:
        ReportError: the reading cannot be said truthfully; the subclass says why.
    """
    return _Bundles(_draft(reading, sources, run), report_class).of(profile)


def write_bundles(
    reading: Reading, sources: Sources, run: Run, profiles: Sequence[Profile]
) -> dict[Profile, tuple[Dataset, ...]]:
    """Say a reading as several profiles have it; what they share is made once and is the same object.

    Raises:
        ReportError: as `write_results`.
    """
    bundles = _Bundles(_draft(reading, sources, run))
    return {profile: bundles.of(profile) for profile in dict.fromkeys(profiles)}


def _draft(reading: Reading, sources: Sources, run: Run) -> Draft:
    if not sources.current:
        raise SourceError("there is no source")
    return Draft(reading, sources, run, headers_of(sources))


@dataclass(slots=True, eq=False)
class _Bundles:
    """The objects of one reading, each written when a profile first needs it."""

    draft: Draft
    report_class: ReportClass | None = None
    _shared: dict[str, tuple[Dataset, ...]] = field(default_factory=dict[str, tuple[Dataset, ...]])

    def of(self, profile: Profile) -> tuple[Dataset, ...]:
        outputs = PROFILES[profile]
        named = [self._alone(name) for name in WRITERS if name in outputs.writers]
        written = tuple(ds for group in named for ds in group)
        if outputs.report_class is not None:
            written += self._report(profile, outputs.report_class, written)
        for name in (name for name in DRAWN if name in outputs.writers):
            written += _written(name, DRAWN[name], replace(self.draft, written=self.of(Profile.AIR)))
        return written

    def _alone(self, name: str) -> tuple[Dataset, ...]:
        if name not in self._shared:
            self._shared[name] = _written(name, WRITERS[name], self.draft)
        return self._shared[name]

    def _report(
        self, profile: Profile, report_class: ReportClass, named: tuple[Dataset, ...]
    ) -> tuple[Dataset, ...]:
        chosen = self.report_class or report_class

        def write(draft: Draft) -> tuple[Dataset, ...]:
            # Reports of two profiles name different objects: each has a series of its own.
            variant = "" if profile is Profile.AIR else profile.value
            return write_report(draft, chosen, variant, form=PROFILES[profile].groups)

        return _written(REPORT, write, replace(self.draft, written=named))


def headers_of(sources: Sources) -> Mapping[str, Dataset]:
    """Normalise what results are built on; what they only refer to stays as it is.

    Raises:
        SourceError: an instance cannot be identified.
    """
    built_on = (*sources.current, *sources.evidence)
    headers = {str(ds.SOPInstanceUID): ds for ds in map(identified, sources.all_instances())}
    try:
        return headers | {str(ds.SOPInstanceUID): normalised(ds) for ds in built_on}
    except (NotImplementedError, ValueError) as error:
        raise SourceError("a source header cannot be read") from error


def _written(name: str, writer: Writer, draft: Draft) -> tuple[Dataset, ...]:
    """Call one writer; what the library says to a source it cannot build on becomes ours."""
    try:
        return writer(draft)
    except (AttributeError, KeyError, NotImplementedError, TypeError, ValueError) as error:
        raise ConstructionError(name) from error
