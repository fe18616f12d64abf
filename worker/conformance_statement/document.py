"""The DICOM conformance statement (PS3.2), made of the tables that the code itself uses."""

from collections.abc import Sequence

from worker.conformance_statement.markdown import Chapter, named
from worker.conformance_statement.networking import networking, sent_classes
from worker.conformance_statement.results import coded_terminology, contents
from worker.settings import software_version


def statement() -> str:
    """Write the whole statement as Markdown; the same software writes the same bytes."""
    title = (
        f"# DICOM Conformance Statement of medversa-node {software_version()}\n\n"
        "Made by `medversa-node conformance-statement` from the tables that the software uses. Chapters are\n"
        "those of PS3.2. Research software: it claims no conformance to any IHE profile and is no medical\n"
        "device."
    )
    overview = _overview()
    others = (_introduction(), networking(), _media(), _character_sets(), _security(), _annexes())
    chapters = (overview, _table_of_contents((overview, *others)), *others)
    return "\n\n".join([title, *(chapter.text() for chapter in chapters)]) + "\n"


def _overview() -> Chapter:
    chapter = Chapter("1", "Conformance statement overview")
    chapter.say(
        "The node receives studies, reads chest radiographs, abdominal CT and photographs of skin lesions",
        "with a vision-language model, and sends results as DICOM objects to configured destinations.",
    )
    chapter.table(
        ("network service", "user (SCU)", "provider (SCP)"),
        (
            ("Verification", "yes", "yes"),
            ("Storage of images and of any other instance", "no", "yes"),
            *((named(uid), "yes", "yes") for uid in sent_classes()),
            ("Study Root Query/Retrieve: FIND, GET, MOVE", "yes", "no"),
            ("Storage Commitment Push Model", "yes", "yes"),
            ("Instance Availability Notification", "no", "yes"),
            ("Modality Performed Procedure Step", "no", "yes"),
            ("Modality Worklist", "yes", "no"),
            ("Print", "no", "no"),
            ("DICOMweb: QIDO-RS and WADO-RS", "yes", "yes"),
            ("DICOMweb: STOW-RS", "yes", "yes"),
        ),
    )
    return chapter


def _table_of_contents(chapters: Sequence[Chapter]) -> Chapter:
    chapter = Chapter("2", "Table of contents")
    chapter.blocks.append("\n".join(f"- {each.number} {each.title}" for each in chapters))
    return chapter


def _introduction() -> Chapter:
    chapter = Chapter("3", "Introduction")
    chapter.say(
        "For those who connect the node to an archive. That two statements match does not prove that two",
        "systems work together: test it. Abbreviations are those of PS3.",
    )
    return chapter


def _media() -> Chapter:
    chapter = Chapter("5", "Media interchange")
    chapter.say(
        "Not supported. A destination of kind `folder` gets PS3.10 files, without a DICOMDIR.",
    )
    return chapter


def _character_sets() -> Chapter:
    chapter = Chapter("6", "Support of character sets")
    chapter.say(
        "Received: whatever is declared in Specific Character Set; bytes are kept as they came. Created:",
        "always ISO_IR 192 (UTF-8), whatever the source has; its text is decoded first.",
    )
    return chapter


def _security() -> Chapter:
    chapter = Chapter("7", "Security")
    chapter.say(
        "BCP 195 RFC 8996 TLS Secure Transport Connection Profile (PS3.15 B.12), where `[tls]` is",
        "configured, as acceptor and as requestor, with certificates on both sides: TLS 1.3, and TLS 1.2",
        "with ECDHE and AES-GCM. A certificate must be signed by an authority of `ca_file`, be valid now",
        "and, with `crl_file`, not be revoked; that of a peer we connect to must bear its host or",
        "`peer_name`, that of a caller its `certificate_name` where there is one. Associations are",
        "accepted by called AE title, and by calling AE title and address together (`[[node.callers]]`);",
        "without callers only this machine may connect. They are limited in number, size and time. The",
        "DICOMweb server speaks TLS of the same versions and ciphers where `[web]` has a certificate,",
        "asks for those of clients where it has `client_ca_file`, and for tokens (4.2.5). Logs hold no",
        "identity of a patient. Studies can be exported without identity (`medversa-node train export`,",
        "PS3.15 Annex E). No audit messages are sent.",
    )
    return chapter


def _annexes() -> Chapter:
    chapter = Chapter("8", "Annexes")
    contents(chapter)
    chapter.section("2", "Data dictionary of private attributes")
    chapter.say("None: no private attribute is created, and none is copied from a source.")
    coded_terminology(chapter)
    chapter.section("4", "Grayscale image consistency")
    chapter.say(
        "Nothing is displayed for reading. Grayscale presentation states give P-Values: the window of their",
        "source, and Presentation LUT Shape IDENTITY, or INVERSE for MONOCHROME1.",
    )
    chapter.section("5", "Standard extended, specialized and private SOP classes; private transfer syntaxes")
    chapter.say("None is created. Private SOP classes are received and kept, and never read.")
    return chapter
