"""Section 4.4 of the conformance statement: what a site sets, as the settings themselves say it."""

from collections.abc import Iterator

from pydantic import BaseModel

from dicom_node.callers import Caller
from dicom_node.completion_settings import Completion
from dicom_node.modality_settings import Modality
from dicom_node.orders.settings import Worklist
from dicom_node.proof_settings import ProofOfDelivery
from dicom_node.retention.settings import Retention
from dicom_node.rules.settings import Rule
from dicom_node.settings import (
    ENVIRONMENT_PREFIX,
    OVERRIDABLE_SECTIONS,
    Broker,
    Destination,
    Node,
    Priors,
    QueryRetrieve,
    WebPeer,
    Worker,
)
from dicom_node.tls import Tls
from dicom_node.web.settings import Web
from worker.conformance_statement.markdown import Chapter

SECTIONS: dict[str, type[BaseModel]] = {
    "[node]": Node,
    "[web]": Web,
    "[[node.callers]]": Caller,
    "[tls]": Tls,
    "[completion]": Completion,
    "[broker]": Broker,
    "[[destinations]]": Destination,
    "[destinations.proof]": ProofOfDelivery,
    "[[modalities]]": Modality,
    "[[worklists]]": Worklist,
    "[[query_retrieve]]": QueryRetrieve,
    "[[dicomweb]]": WebPeer,
    "[[orthanc]]": WebPeer,
    "[priors]": Priors,
    "[retention]": Retention,
    "[[rules]]": Rule,
    "[worker]": Worker,
}
"""Tables of the TOML file."""


def configuration(chapter: Chapter) -> None:
    chapter.section("4", "Configuration")
    overridable = ", ".join(f"`[{section}]`" for section in OVERRIDABLE_SECTIONS)
    chapter.say(
        f"One TOML file, which `--config` or `{ENVIRONMENT_PREFIX}CONFIG` names; relative paths are relative",
        f"to it. `{ENVIRONMENT_PREFIX}SECTION_FIELD` in the environment overrides a field of {overridable};",
        "commas separate the values of a list. `tls = true` means `[tls]`, and `tls = {…}` overrides single",
        "keys of it. A key without a default must be given where it applies; a condition of a rule that is",
        "left out holds. AE titles, hosts and ports, local and remote, are all settings:",
    )
    chapter.table(("table", "key", "meaning"), _settings())


def _settings() -> Iterator[tuple[str, str, str]]:
    for name, section in SECTIONS.items():
        for key, field in section.model_fields.items():
            yield f"`{name}`", f"`{key}`", " ".join((field.description or "").split())
