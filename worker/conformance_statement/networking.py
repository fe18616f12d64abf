"""Chapter 4 of the conformance statement: what the application entities do on the network."""

from collections.abc import Iterator

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_node.archive_counts import SERIES_KEYS as COUNTING_KEYS
from dicom_node.dimse_status import OUT_OF_RESOURCES, PROCESSING_FAILURE, QUARANTINED_WITH, REFUSED_WITH
from dicom_node.instance_look_up import RESULT_CLASSES
from dicom_node.priors.description import IMAGE_KEYS, PROCEDURES, SERIES_KEYS, STUDY_KEYS
from dicom_node.priors.query_retrieve import FIND, GET, MOVE
from dicom_node.rejection_note import Title
from dicom_node.routing import READABLE_CLASSES
from dicom_node.scp import ANSWER_WITHIN_S, ASSOCIATION_TIMEOUT_S, LEAST_SYNCED_BYTES_PER_S
from dicom_node.scp import NATIVE as UNCOMPRESSED
from dicom_node.settings import Node, Worker
from dicom_node.storage_classes import TRANSFER_SYNTAXES, VERIFICATION
from dicom_node.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from structured_reports.products import PRODUCTS
from worker.conformance_statement.configuration import configuration
from worker.conformance_statement.dicomweb import origin_server, user_agent
from worker.conformance_statement.markdown import Chapter, named
from worker.conformance_statement.services import announcements, commitment, proof, worklist
from worker.settings import DELIVERY_PATIENCE

NATIVE = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
NODE_ACCEPTS = "C-ECHO, C-STORE, N-ACTION, N-CREATE, N-SET, N-EVENT-REPORT"
OPERATORS_COMMANDS = "`doctor`, `send`, `priors`, `results show`, `train export`"
_UID = ("SOP class", "UID")


def default(field: str) -> object:
    """Give the default of a setting of the node."""
    return Node.model_fields[field].default


def sent_classes() -> list[str]:
    """List the SOP classes of results, each once."""
    return list(dict.fromkeys(str(uid) for product in PRODUCTS.values() for uid in product.sop_classes))


def networking() -> Chapter:
    chapter = Chapter("4", "Networking")
    _implementation_model(chapter)
    _node_acceptor(chapter)
    _delivery(chapter)
    proof(chapter)
    _query_retrieve(chapter)
    origin_server(chapter)
    worklist(chapter)
    user_agent(chapter)
    chapter.section("3", "Network interfaces")
    chapter.say("TCP/IP over whatever the operating system offers; IPv4 and IPv6. No modem, no OSI stack.")
    configuration(chapter)
    return chapter


def _implementation_model(chapter: Chapter) -> None:
    chapter.section("1", "Implementation model")
    chapter.section("1.1", "Application data flow")
    chapter.table(
        ("application entity", "process", "initiates when", "accepts"),
        (
            (
                "NODE",
                "`medversa-node serve`",
                "a report of commitment is due; a study arrives, whose order and images are asked for",
                NODE_ACCEPTS,
            ),
            ("NODE", "`medversa-node web`", "never", "STOW-RS, QIDO-RS, WADO-RS"),
            ("DELIVERY", "`medversa-node worker`", "results are stored, or a retry is due", "nothing"),
            ("PRIORS", "`medversa-node worker`", "a complete study is about to be read", "nothing"),
            ("OPERATOR", OPERATORS_COMMANDS, "a person runs the command", "nothing"),
        ),
    )
    chapter.section("1.2", "Functional definitions")
    chapter.say(
        "NODE keeps every instance on stable storage before it answers; a study is complete when",
        f"everything that was announced is here, or no instance has come for {default('quiet_period_s'):g}",
        "s (4.2.1.4). DELIVERY sends the stored results of a study and records the status of every",
        "object. PRIORS finds and fetches earlier studies of the same patient. All bear one AE title,",
        "unless `calling_ae_title` of a peer is another; `send` takes its own from the command line.",
    )
    chapter.section("1.3", "Sequencing")
    chapter.say(
        "Reading begins after completion; results are stored before any is sent; the report, which names the",
        "other objects, goes last. Results that break a rule of the publication gate are held until a person",
        "decides.",
    )


def _node_acceptor(chapter: Chapter) -> None:
    chapter.section("2", "AE specifications")
    chapter.section("2.1", "NODE: Verification and Storage as SCP")
    chapter.table((*_UID, "role"), ((named(VERIFICATION), VERIFICATION, "SCP"),))
    chapter.say(
        "Storage as SCP: every storage SOP class, standard, retired or private, is accepted and kept (PS3.4",
        "B.2, level 2, full). Studies are read only if they hold one of these:",
    )
    chapter.table(_UID, ((named(uid), uid) for uid in READABLE_CLASSES))
    chapter.say("Transfer syntaxes, of which the first that the requestor proposes is taken:")
    chapter.table(("transfer syntax", "UID"), ((named(uid), uid) for uid in TRANSFER_SYNTAXES))
    chapter.say(
        f"Verification and the DIMSE-N services take {', '.join(map(named, UNCOMPRESSED[:-1]))} and",
        f"{named(UNCOMPRESSED[-1])}.",
    )
    _association_policies(chapter)
    chapter.section("2.1.2", "Statuses of C-STORE")
    chapter.table(("status", "what becomes of the instance", "reason"), _statuses())
    chapter.say(
        "Refused is what lacks identifiers in the request; what lacks them in the data set goes into",
        "quarantine. Pixels, slices and, where they were not seen before, nesting and headers are judged",
        "when the study is read: the answer was given then.",
    )
    chapter.say(
        f"Where disk or index do not answer within {ANSWER_WITHIN_S:g} s, and a second for each",
        f"{LEAST_SYNCED_BYTES_PER_S >> 20} MiB, the status is 0x{OUT_OF_RESOURCES:04X},",
        "whatever becomes of the instance.",
    )
    chapter.say(
        "A Key Object Selection is a rejection note (IHE IOCM) if its title is",
        f"{', '.join(f'{title} {title.meaning}' for title in Title)}. What it names of its own study goes",
        "into quarantine; if it was read already, the study is read anew without it and results on it are",
        "withdrawn by a note of ours. What comes after its note goes the same way.",
    )
    commitment(chapter)
    announcements(chapter)


def _association_policies(chapter: Chapter) -> None:
    chapter.section("2.1.1", "Association policies")
    chapter.table(
        ("parameter", "value"),
        (
            ("application context", "1.2.840.10008.3.1.1.1"),
            (
                "associations at once",
                f"{default('max_associations')} (`max_associations`); the next are rejected with 2, 3, 2",
            ),
            (
                "from one address",
                f"{default('max_associations_per_peer')} (`max_associations_per_peer`); "
                "the next connections are closed",
            ),
            ("asynchronous operations", "not supported"),
            ("Implementation Class UID", IMPLEMENTATION_CLASS_UID),
            ("Implementation Version Name", IMPLEMENTATION_VERSION_NAME),
            ("largest PDU received", f"{default('max_pdu_bytes')} bytes (`max_pdu_bytes`)"),
            ("time for A-ASSOCIATE-RQ", f"{ASSOCIATION_TIMEOUT_S:g} s"),
            ("silence before abort", f"{default('network_timeout_s'):g} s (`network_timeout_s`)"),
            ("called AE title", "must be ours (`ae_title`, `called_ae_titles`); else rejected with 1, 1, 7"),
            (
                "calling AE title and address",
                "must be a caller's (`[[node.callers]]`); any from this machine without callers; "
                "else rejected with 1, 1, 3",
            ),
        ),
    )


def _statuses() -> Iterator[tuple[str, str, str]]:
    yield "0x0000", "kept, or known already byte for byte", ""
    for reason, status in REFUSED_WITH.items():
        yield f"0x{status:04X}", "refused", reason.value
    yield f"0x{PROCESSING_FAILURE:04X}", "refused", "any other"
    for reason, status in QUARANTINED_WITH.items():
        yield f"0x{status:04X}", "kept in quarantine, not read", reason.value


def _delivery(chapter: Chapter) -> None:
    chapter.section("2.2", "DELIVERY: Storage as SCU")
    chapter.table((*_UID, "role"), ((named(uid), uid, "SCU") for uid in sent_classes()))
    chapter.say(
        f"Each class is proposed in {named(NATIVE[0])}, in which objects are stored, and in",
        f"{named(NATIVE[1])}. Which classes a destination gets is its profile (chapter 8.1).",
    )
    chapter.table(
        ("answer", "what is done"),
        (
            ("0x0000, 0xBxxx, 0x0001, 0x0107, 0x0116", "the object counts as delivered"),
            ("0xA7xx, no answer, no association", "sent again later"),
            ("any other", "refused for good; the job fails visibly, other destinations are served"),
        ),
    )
    delays = ", ".join(f"{delay:g}" for delay in Worker().retry_after_s)
    hours = DELIVERY_PATIENCE.total_seconds() / 3600
    chapter.say(
        f"Retries follow after {delays} s (the last again and again), for {hours:g}",
        "hours. The stored objects are sent again, byte for byte, under the same UIDs.",
        "`medversa-node send` proposes the SOP classes and transfer syntaxes that its files have.",
    )


def _query_retrieve(chapter: Chapter) -> None:
    chapter.section("2.3", "PRIORS and OPERATOR: Query/Retrieve and Verification as SCU")
    chapter.table(
        (*_UID, "role"),
        (
            *((named(uid), uid, "SCU") for uid in (FIND, GET, MOVE)),
            (named(VERIFICATION), VERIFICATION, "SCU"),
        ),
    )
    chapter.say(
        f"Priors are asked for at STUDY level with the keys {', '.join((*STUDY_KEYS, PROCEDURES))}, and",
        f"described at SERIES level with {', '.join(SERIES_KEYS)}. Of these PatientID (single value) or",
        "StudyInstanceUID is matched; the others are returned. C-GET is tried first, with SCP/SCU role",
        "selection for the storage classes; where it fails or brings nothing, C-MOVE to our own AE title;",
        "`retrieve` forbids either. Fetched are the classes that are read (4.2.1). `train export` asks at",
        "STUDY level by Study Instance UID or a range of Study Date, and fetches SR and SEG besides.",
        "`results show` asks at IMAGE level by SOP Instance UID alone and fetches by C-GET one instance,",
        "of those or of these classes:",
    )
    chapter.table(_UID, ((named(uid), uid) for uid in RESULT_CLASSES))
    chapter.say(
        "NODE counts the images of a study at `completion.count_at`: at SERIES level by Study Instance UID",
        f"with {', '.join(COUNTING_KEYS)}; where the number is not returned, at IMAGE level with",
        "SOPInstanceUID. `doctor` asks for studies and orders that nobody has, and has one image moved to",
        "the node for a trial. No extended negotiation; C-CANCEL is not sent.",
    )
    chapter.section("2.4", "PRIORS: DICOMweb as user agent")
    chapter.say(
        "QIDO-RS (PS3.18 10.6) for studies by PatientID, then for the series of each, with an `includefield`",
        f"for each of the keys above and {', '.join(IMAGE_KEYS)}, and for the instances of what is fetched;",
        "`application/dicom+json` is accepted.",
        "WADO-RS (10.4) for single instances of the classes that are read, as `multipart/related` with",
        "`application/dicom` in any transfer syntax. TLS with verification of the server; an Authorization",
        "header as configured. Orthanc may be asked over its own REST interface instead.",
    )
