"""From stored instances to a request that holds pixels and context; identity attributes end here."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from pydicom import Dataset, dcmread

from dicom_node.database.engine import Database
from dicom_node.errors import DamagedError, StorageError
from dicom_node.orders.order import Order
from dicom_node.rules.settings import Rule
from dicom_node.storage import InstanceStore
from dicom_node.study import Instance, Prior, PriorSearch, Reason, SOPInstanceUID, Study, StudyInstanceUID
from model.imaging.selection import Selection, select_images
from model.reading import ClinicalContext, Modality, PriorImages, ReadingRequest, Task
from model.volume import FrameKey, PlanarImage, Volume
from structured_reports.sources import PriorSource, Sources
from worker.errors import NothingToReadError

logger = logging.getLogger(__name__)

PROTOCOLS: dict[Modality, tuple[Task, ...]] = {
    Modality.CXR: (
        Task.REPORT,
        Task.CLASSIFICATION,
        Task.ANATOMY_DETECTION,
        Task.PATHOLOGY_DETECTION,
        Task.SEGMENTATION,
        Task.COMPARISON,
    ),
    Modality.CT: (Task.SEGMENTATION,),
    Modality.DERM: (Task.CLASSIFICATION, Task.SEGMENTATION),
}
"""Which tasks a study of each modality gets."""


@dataclass(frozen=True, slots=True, eq=False)
class PreparedStudy:
    """What the reader needs, and the headers from which the writers take identity."""

    request: ReadingRequest
    sources: Sources
    caveats: tuple[str, ...]
    """What a reader of the report must know about the input: priors not found, images left out."""


@dataclass(frozen=True, slots=True, eq=False)
class EarlierStudy:
    """One prior as it was found: data sets with pixels, and what is known of it."""

    datasets: Sequence[Dataset]
    study_date: str
    """DICOM DA, possibly empty."""
    days_before: int | None
    report: Dataset | None = None
    """Header of our newest SR on it."""


def assemble(
    selection: Selection,
    datasets: Sequence[Dataset],
    earlier: Sequence[EarlierStudy],
    *,
    every_view: bool = False,
) -> PreparedStudy:
    """Make the request of what was selected from `datasets`, and of the priors that can be compared with it.

    With `every_view` priors are shown with all their views, as `select_images` says.

    Raises:
        NothingToReadError: no image was selected.
    """
    if selection.modality is None:
        raise NothingToReadError(Reason.NO_IMAGES, selection.reason)
    read = datasets_of(selection, datasets)
    images: list[PriorImages] = []
    sources: list[PriorSource] = []
    notes: list[str] = []
    for prior in earlier:
        chosen = select_images(prior.datasets, every_view=every_view)
        if chosen.modality is not selection.modality or not chosen.images:
            notes.append("An earlier study was found but holds no image that can be compared.")
            continue
        images.append(PriorImages(chosen.images, prior.days_before))
        sources.append(PriorSource(datasets_of(chosen, prior.datasets), prior.study_date, prior.report))
    request = ReadingRequest(
        modality=selection.modality,
        images=selection.images,
        tasks=PROTOCOLS[selection.modality],
        priors=tuple(images),
        context=clinical_context(read[0]),
    )
    return PreparedStudy(request, Sources(read, tuple(sources)), (*selection.caveats, *notes))


@dataclass(frozen=True, slots=True, eq=False)
class StudyPreparation:
    """Reads a study and its priors from the store."""

    database: Database
    store: InstanceStore
    may_quarantine: bool = True
    """Whether what cannot be read is put into quarantine; one who only asks changes nothing."""
    every_view: bool = False
    """Whether the model reads all views of a chest study."""

    def prepare(self, study: Study, revision: int, search: PriorSearch) -> PreparedStudy:
        """Select images of the study and its priors.

        Raises:
            NothingToReadError: no image of the study is one that the model reads.
        """
        instances = self.database.instances.of_study(study.study_instance_uid, revision)
        datasets = self._load(instances, may_quarantine=self.may_quarantine)
        selection = select_images(datasets, every_view=self.every_view)
        if self.may_quarantine:
            self._quarantine(selection)
        earlier = [self._earlier(prior, study) for prior in search.priors]
        prepared = assemble(selection, datasets, earlier, every_view=self.every_view)
        order = self.database.orders.of_study(study.study_instance_uid)
        if order is not None:
            prepared = replace(prepared, request=ordered(prepared.request, order))
        return replace(prepared, caveats=(*prepared.caveats, *search.notes))

    def _load(self, instances: Sequence[Instance], *, may_quarantine: bool) -> list[Dataset]:
        datasets: list[Dataset] = []
        for instance in instances:
            try:
                datasets.append(self.store.read(instance))
            except StorageError as error:
                if error.reason is Reason.STORAGE_FAULT and not isinstance(error, DamagedError):
                    raise  # it may be read in a moment
                # One unreadable file never costs its neighbours.
                logger.warning("stored instance cannot be read", extra={"error": type(error).__name__})
                if may_quarantine:
                    self._take_out(instance.sop_instance_uid, error)
        return datasets

    def _take_out(self, uid: SOPInstanceUID, error: StorageError) -> None:
        """What is damaged loses its row, since only what has none is kept when it is sent again."""
        if isinstance(error, DamagedError):
            self.database.refusals.lose_instance(uid, f"{error}: have it sent again")
        else:
            self.database.refusals.quarantine_instance(uid, Reason.UNREADABLE_HEADER, str(error))

    def _quarantine(self, selection: Selection) -> None:
        for fault in selection.faulty:
            uid = SOPInstanceUID(fault.sop_instance_uid)
            self.database.refusals.quarantine_instance(uid, Reason.PIXEL_DATA, fault.reason)

    def _earlier(self, prior: Prior, study: Study) -> EarlierStudy:
        return EarlierStudy(
            self._load(prior.instances, may_quarantine=False),
            prior.study_date,
            days_between(prior.study_date, study.study_date),
            self.latest_report(prior.study_instance_uid),
        )

    def latest_report(
        self, study_instance_uid: StudyInstanceUID, before: int | None = None
    ) -> Dataset | None:
        """Return the header of our newest SR on a study, of a revision below `before` if given.

        What is held or was dropped nobody can look up, and what was withdrawn nobody should: it is not named.
        """
        revisions = {job.job_id: job.revision for job in self.database.jobs.of_study(study_instance_uid)}
        withheld = self.database.decisions.withheld_jobs(study_instance_uid)
        withdrawn = {uid for job_id in revisions for uid in self.database.withdrawals.withdrawn(job_id)}
        reports = [
            result
            for result in self.database.results.of_study(study_instance_uid)
            if result.modality == "SR"
            and result.job_id not in withheld
            and result.sop_instance_uid not in withdrawn
            and (before is None or revisions.get(result.job_id, before) < before)
        ]
        return dcmread(reports[-1].path) if reports else None


def asked_for(rule: Rule | None, prepared: PreparedStudy) -> PreparedStudy:
    """Ask only for the tasks of a rule.

    Raises:
        NothingToReadError: this kind of images allows none of them.
    """
    if rule is None or not rule.tasks:
        return prepared
    request = prepared.request
    tasks = tuple(task for task in request.tasks if task.value.replace(" ", "-") in rule.tasks)
    if not tasks:
        detail = f"rule {rule.name} asks for {', '.join(rule.tasks)}: not of {request.modality.value}"
        raise NothingToReadError(Reason.RULED_OUT, detail)
    return replace(prepared, request=replace(request, tasks=tasks))


def compared_with(prepared: PreparedStudy) -> dict[str, str]:
    """Return what is shown of priors: SOP Instance UID -> Study Instance UID."""
    shown = (ds for prior in prepared.sources.priors for ds in prior.instances)
    return {str(ds.SOPInstanceUID): str(ds.StudyInstanceUID) for ds in shown}


def datasets_of(selection: Selection, datasets: Sequence[Dataset]) -> tuple[Dataset, ...]:
    """Return the data sets of the frames that are read, each once, in the order of the images."""
    by_uid = {str(ds.get("SOPInstanceUID", "")): ds for ds in datasets}
    uids = dict.fromkeys(frame.sop_instance_uid for image in selection.images for frame in frames_of(image))
    return tuple(by_uid[uid] for uid in uids)


def frames_of(image: PlanarImage | Volume) -> tuple[FrameKey, ...]:
    """Return the frames of an image, in voxel order."""
    return image.frames if isinstance(image, Volume) else (image.frame,)


def clinical_context(ds: Dataset) -> ClinicalContext:
    """Take what the order and the patient module say, without identity."""
    sex = str(ds.get("PatientSex", "") or "").strip().upper()
    return ClinicalContext(
        age_years=age_years(ds),
        sex=sex if sex in {"M", "F", "O"} else None,
        indication=_text(ds, "ReasonForTheRequestedProcedure") or _text(ds, "AdmittingDiagnosesDescription"),
        body_site=_text(ds, "BodyPartExamined"),
    )


def ordered(request: ReadingRequest, order: Order) -> ReadingRequest:
    """Put what the order says into the context, where the images say less.

    The reason is the order's if it has one: images repeat it shortened, if at all. What was requested stands
    behind it. Like every text of others it is data to the prompt, which strips what could be a command.
    """
    reason = order.indication or request.context.indication
    requested = f"requested: {order.requested_procedure}" if order.requested_procedure else None
    indication = "; ".join(filter(None, (reason, requested))) or None
    return replace(request, context=replace(request.context, indication=indication))


def age_years(ds: Dataset) -> float | None:
    """Take PatientAge (PS3.5 AS: nnnD, nnnW, nnnM, nnnY), else birth date and study date."""
    age = str(ds.get("PatientAge", "") or "").strip()
    per_year = {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}
    if len(age) == 4 and age[:3].isdigit() and age[3] in per_year:
        return int(age[:3]) / per_year[age[3]]
    born, studied = parse_da(str(ds.get("PatientBirthDate", ""))), parse_da(str(ds.get("StudyDate", "")))
    if born is None or studied is None or studied < born:
        return None
    return (studied - born).days / 365.25


def days_between(earlier: str, later: str) -> int | None:
    """Count whole days between two dates (PS3.5 DA); None if one is missing or illegal."""
    then, now = parse_da(earlier), parse_da(later)
    return (now - then).days if then and now else None


def parse_da(value: str) -> date | None:
    """Read a DICOM date (PS3.5 DA); None if it is empty or not a date."""
    try:
        return datetime.strptime(value.strip().replace(".", ""), "%Y%m%d").date()
    except ValueError:
        return None


def _text(ds: Dataset, keyword: str) -> str | None:
    value = str(ds.get(keyword, "") or "").strip()
    return value or None
