"""The report: an Imaging Measurement Report (PS3.16 TID 1500) that names every other object of the run."""

from enum import StrEnum

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import (
    CodedConcept,
    Comprehensive3DSR,
    ComprehensiveSR,
    ContentItem,
    EnhancedSR,
    ObservationContext,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes as dictionary

from model.reading import Reading
from structured_reports import codes
from structured_reports.finishing import UNFINISHED, finished, run_key, series_place
from structured_reports.provenance import MANUFACTURER, contributing_equipment, equipment
from structured_reports.stand_in import restore_source, stand_in
from structured_reports.wording import series_description
from structured_reports.writers import content
from structured_reports.writers.comparison import weighed_changes
from structured_reports.writers.image_library import image_library
from structured_reports.writers.measurement_groups import measurement_groups
from structured_reports.writers.observation import algorithm, device_observer, language
from structured_reports.writers.ohif_groups import GroupForm, arranged
from structured_reports.writers.qualitative_evaluations import qualitative_evaluations
from structured_reports.writers.questions import questions_and_answers
from structured_reports.writers.region_groups import located_anatomy
from structured_reports.writers.requests import referenced_requests, reported_procedures
from structured_reports.writers.technical_appendix import technical_appendix
from structured_reports.writers.writer import Draft

SERIES_NUMBER = 9001


class ReportClass(StrEnum):
    """SOP class that carries the report; the content is the same in all."""

    COMPREHENSIVE_3D = "comprehensive 3d"
    COMPREHENSIVE = "comprehensive"
    """For archives that refuse Comprehensive 3D, and for viewers that draw only this one."""
    ENHANCED = "enhanced"


_CLASSES = {
    ReportClass.COMPREHENSIVE_3D: Comprehensive3DSR,
    ReportClass.COMPREHENSIVE: ComprehensiveSR,
    ReportClass.ENHANCED: EnhancedSR,
}


def write_report(
    draft: Draft,
    report_class: ReportClass = ReportClass.COMPREHENSIVE_3D,
    variant: str = "",
    *,
    form: GroupForm = GroupForm.TEMPLATE,
) -> tuple[Dataset, ...]:
    """Write the one report of a run, alone in its series: viewers show only the newest of a series.

    `variant` tells reports of one run apart that name different objects.
    """
    reading, run = draft.reading, draft.run
    source = draft.sources.current[0]
    place = series_place(
        "SR",
        SERIES_NUMBER,
        series_description("findings", reading.modality, run.revision),
        key=(
            *run_key(source.StudyInstanceUID, reading.model, run),
            report_class.value,
            *([variant] if variant else []),
        ),
    )
    result = _CLASSES[report_class](
        evidence=_evidence(draft),
        content=_root(draft, form),
        series_instance_uid=place.uid,
        series_number=place.number,
        sop_instance_uid=UNFINISHED,
        instance_number=1,
        is_complete=is_complete(reading),
        is_final=False,
        is_verified=False,
        previous_versions=[run.predecessor] if run.predecessor is not None else None,
        requested_procedures=referenced_requests(draft.current[0]),
        coding_schemes=[
            CodingSchemeIdentificationItem(
                designator=codes.LOCAL_SCHEME,
                name=codes.LOCAL_SCHEME_NAME,
                responsible_organization=MANUFACTURER,
            )
        ],
        specific_character_set="ISO_IR 192",
        contributing_equipment=[contributing_equipment(reading.model, run)],
        **equipment(reading.model, run),
    )
    restore_source(result, draft.current[0])
    if report_class is ReportClass.COMPREHENSIVE:
        _name_original_sources(result)
    return (finished(result, source, run, place),)


def _name_original_sources(ds: Dataset) -> None:
    """Call the image of a region Original Source (DCM 111040): Stone Web viewer draws no box otherwise.

    Done for Comprehensive SR only, the one class that this viewer draws; elsewhere it is Source.
    """
    for item in ds.get("ContentSequence", ()):
        if item.get("RelationshipType") == "SELECTED FROM":
            item.ConceptNameCodeSequence = [CodedConcept.from_code(dictionary.DCM.OriginalSource)]
        _name_original_sources(item)


def is_complete(reading: Reading) -> bool:
    """Say whether the reading did what it was asked to; an abstention did not."""
    return reading.abstention is None and bool(reading.tasks_done)


def _evidence(draft: Draft) -> list[Dataset]:
    """List everything the report rests on; the first instance decides which study the report is filed in."""
    further = [draft.headers[ds.SOPInstanceUID] for ds in draft.sources.evidence]
    priors = [draft.headers[ds.SOPInstanceUID] for prior in draft.sources.priors for ds in prior.instances]
    reports = [
        draft.headers[prior.report.SOPInstanceUID]
        for prior in draft.sources.priors
        if prior.report is not None
    ]
    first, *others = draft.current
    return [stand_in(first), *others, *further, *draft.written, *priors, *reports]


def _root(draft: Draft, form: GroupForm) -> ContentItem:
    changes = weighed_changes(draft)
    groups, others = arranged(draft, form, measurement_groups(draft, changes.said))
    priors = draft.sources.priors
    children: list[ContentItem] = [
        *language(draft.run.language),
        *ObservationContext(observer_device_context=device_observer(draft.run)),
        *(
            content.code(dictionary.DCM.ProcedureReported, procedure, content.MODIFIES)
            for procedure in reported_procedures(draft.current[0])
        ),
        image_library(draft),
        content.container(dictionary.DCM.ImagingMeasurements, [*algorithm(draft), *groups]),
        *([content.container(codes.NOT_DRAWN, [*algorithm(draft), *others])] if others else []),
        content.container(codes.QUALITATIVE_EVALUATIONS, qualitative_evaluations(draft, changes)),
        *questions_and_answers(draft),
        *located_anatomy(draft),
        *technical_appendix(draft),
        *(
            content.composite(codes.PRIOR_REPORT, prior.report)
            for prior in priors
            if prior.report is not None
        ),
    ]
    title = dictionary.DCM.ImagingMeasurementReport
    return content.container(title, children, template_id="1500", relation=None)
