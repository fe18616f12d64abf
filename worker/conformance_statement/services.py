"""Sections of chapter 4 about services other than storage: commitment, announcements and worklists."""

from collections.abc import Iterator

from dicom_node.announcements import INSTANCE_AVAILABILITY, PERFORMED_PROCEDURE_STEP
from dicom_node.completion import MOST_PATIENCE
from dicom_node.completion_settings import Completion
from dicom_node.content_digest import COERCIBLE
from dicom_node.orders.worklist import (
    CODE_KEYS,
    MODALITY_WORKLIST,
    MOST_ORDERS,
    ORDER_KEYS,
    STEP_KEYS,
)
from dicom_node.proof import MOST_REQUESTS
from dicom_node.storage_commitment.asking import SAME_ASSOCIATION_S
from dicom_node.storage_commitment.messages import (
    CLASS_INSTANCE_CONFLICT,
    CLASS_NOT_SUPPORTED,
    FAILURE_REASONS,
    NO_SUCH_INSTANCE,
    STORAGE_COMMITMENT,
)
from dicom_node.storage_commitment.messages import PROCESSING_FAILURE as FAILED_TO_KEEP
from dicom_node.storage_commitment.providing import FIRST_DELAY_S as REPORT_DELAY_S
from dicom_node.storage_commitment.providing import LONGEST_DELAY_S as LONGEST_REPORT_DELAY_S
from worker.conformance_statement.markdown import Chapter, named

_UID = ("SOP class", "UID")


def commitment(chapter: Chapter) -> None:
    chapter.section("2.1.3", "NODE: Storage Commitment as SCP")
    chapter.table((*_UID, "role"), ((named(STORAGE_COMMITMENT), STORAGE_COMMITMENT, "SCP"),))
    chapter.say(
        "N-ACTION (Action Type ID 1) is answered 0x0000 once the request is on stable storage; 0x0115",
        "without legal identifiers, or if the same AE used the Transaction UID for other objects; 0x0123 for",
        "another action. An object is committed if its file and its row are on stable storage at the time of",
        "the report. The report goes to the address in `[[modalities]]` on a new association, with SCP role",
        f"selection, and again after {REPORT_DELAY_S:g} s, doubling up to {LONGEST_REPORT_DELAY_S:g} s,",
        "until it is taken; it outlives a restart. An AE title that is not listed gets it on the association",
        "of its request, if that is still there. Committed objects are kept for ever, or, where",
        "`retention.days` is set, until there was no news of their study for so many days and all results of",
        "it were delivered.",
    )
    chapter.table(("Failure Reason", "meaning", "when"), _failures())


def _failures() -> Iterator[tuple[str, str, str]]:
    for reason, when in (
        (NO_SUCH_INSTANCE, "never received, or refused"),
        (FAILED_TO_KEEP, "in quarantine, or another content came under its UID, or the file is damaged"),
        (CLASS_INSTANCE_CONFLICT, "kept under another SOP class"),
        (CLASS_NOT_SUPPORTED, "no storage SOP class"),
    ):
        yield f"0x{reason:04X}", FAILURE_REASONS[reason], when


def announcements(chapter: Chapter) -> None:
    chapter.section("2.1.4", "NODE: Instance Availability Notification and MPPS as SCP")
    chapter.table(
        (*_UID, "role"),
        ((named(uid), uid, "SCP") for uid in (INSTANCE_AVAILABILITY, PERFORMED_PROCEDURE_STEP)),
    )
    chapter.say(
        "Used to know when a study is complete; kept, never forwarded. Of a notification (N-CREATE) Study",
        "Instance UID and the references to instances are read; what is UNAVAILABLE or of a class that is",
        "not read is left out. Of a step (N-CREATE, N-SET) status, Study Instance UIDs of Scheduled Step",
        "Attributes Sequence and the Referenced Image Sequences are read. N-GET and N-EVENT-REPORT are not",
        "supported.",
    )
    chapter.table(
        ("status", "when"),
        (
            ("0x0106", "a status that does not exist, a first status other than IN PROGRESS, an illegal UID"),
            ("0x0110", "N-SET of a step that has ended"),
            ("0x0111", "N-CREATE of a step that is known"),
            ("0x0112", "N-SET of an unknown step"),
            ("0x0117", "N-CREATE of a step without a SOP Instance UID"),
            ("0x0120", "without Study Instance UID or status"),
        ),
    )
    completion = Completion()
    chapter.say(
        f"A study is complete {completion.settled_s:g} s (`completion.settled_s`) after its last instance if",
        "everything announced is here, no step is in progress and no association that brought part of it is",
        "open; without announcement after `quiet_period_s`, or what was learned from the source. Images that",
        "were announced, or that `completion.count_at` counts, and have not come are waited for",
        f"{MOST_PATIENCE} quiet periods, a step in progress {completion.limit_s:g} s (`completion.limit_s`).",
        "What comes later makes a new revision, whose report names the former one as predecessor.",
    )


def proof(chapter: Chapter) -> None:
    chapter.section("2.2.1", "DELIVERY and NODE: Storage Commitment as SCU")
    chapter.table((*_UID, "role"), ((named(STORAGE_COMMITMENT), STORAGE_COMMITMENT, "SCU"),))
    chapter.say(
        "Where `proof.by` of a destination is `commitment`. DELIVERY sends one N-ACTION (Action Type ID 1)",
        "for all objects that the destination has accepted, without Referenced PPS or storage media, under",
        f"a new Transaction UID, and holds the association for {SAME_ASSOCIATION_S:g} s. N-EVENT-REPORT is",
        "taken on it, and by NODE on a new association, on which the requestor proposes the role of SCP.",
    )
    chapter.table(
        ("report", "what is done"),
        (
            ("committed", "the object is proven; the job is done when all are"),
            ("Failed SOP Sequence, any Failure Reason", "the object is sent again, and asked for again"),
            ("none within `proof.answer_within_s`", "asked for again; every third time it is sent again too"),
            (f"{MOST_REQUESTS} requests without commitment", "the job fails visibly"),
            (
                "N-ACTION not answered, or with a failure",
                "asked for again, as objects are sent again (4.2.2)",
            ),
            ("of an unknown Transaction UID", "answered 0x0110; nothing changes"),
            ("a second one of the same transaction", "answered 0x0000; nothing changes"),
            ("without legal identifiers", "answered 0x0115"),
        ),
    )
    chapter.say(
        "Where `proof.by` is `read-back`, each object is fetched by C-GET at IMAGE level, WADO-RS or",
        "Orthanc's REST interface from `proof.source`, and compared element by element. These attributes an",
        f"archive may correct: {', '.join(COERCIBLE)}.",
    )


def worklist(chapter: Chapter) -> None:
    chapter.section("2.6", "NODE: Modality Worklist as SCU")
    chapter.table((*_UID, "role"), ((named(MODALITY_WORKLIST), MODALITY_WORKLIST, "SCU"),))
    chapter.say(
        "Each of `[[worklists]]` is asked for the order behind a study that arrives: by Study Instance UID,",
        "then by Accession Number, single values. These keys are returned:",
        f"{', '.join((*ORDER_KEYS, *CODE_KEYS))}, and in Scheduled Procedure Step Sequence",
        f"{', '.join(STEP_KEYS)}. An order is taken if Patient ID is that of the study and neither issuer,",
        "birth date, sex nor name contradicts it, unless all its steps are discontinued. More than",
        f"{MOST_ORDERS} answers to a question abort the association. The reason and the requested procedure",
        "become context of the reading, the priority places the job in the queue; a study without order is",
        "read without. Nothing of an order is logged.",
    )
