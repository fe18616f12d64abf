"""The command `doctor`: one check per line, each with what to do about it."""

import json
import sys
from collections.abc import Iterator

from rich.console import Console

from dicom_node.diagnosis.certificates import own_certificate_check
from dicom_node.diagnosis.clocks import clock_checks
from dicom_node.diagnosis.dicom_peers import (
    destination_checks,
    modality_checks,
    query_retrieve_checks,
    worklist_checks,
)
from dicom_node.diagnosis.faults import Check, Fault, faulty
from dicom_node.diagnosis.machine import folder_check, machine_checks, tool_checks
from dicom_node.diagnosis.web_peers import STOW, web_checks
from dicom_node.settings import NodeSettings


def run_doctor(settings: NodeSettings, *, as_json: bool = False) -> int:
    """Print every check; return 1 if something needed fails."""
    found: list[Check] = []
    console = Console(soft_wrap=True, highlight=False)
    for check in checks(settings):
        found.append(check)
        if not as_json:
            _print(console, check)
    if as_json:
        sys.stdout.write(json.dumps([_values(check) for check in found], indent=1) + "\n")
    return int(any(check.is_needed and not check.is_ok for check in found))


def checks(settings: NodeSettings) -> Iterator[Check]:
    """Make all checks, those of this machine first."""
    yield from machine_checks(settings)
    yield from clock_checks(settings)
    if settings.tls is not None:
        files = (settings.tls.certificate_file, settings.tls.key_file)
        yield own_certificate_check("certificate of the node", *files)
    for destination in settings.destinations:
        if destination.kind == "dicom":
            yield from destination_checks(destination)
        elif destination.kind == "dicomweb":
            yield from web_checks(STOW, destination.web_peer)
        elif destination.folder is not None:
            yield folder_check(f"destination {destination.name}", destination.folder)
    if not settings.destinations:
        yield faulty("destinations", Fault.NO_DESTINATION, is_needed=False)
    for peer in settings.query_retrieve:
        yield from query_retrieve_checks(peer, settings)
    for worklist in settings.worklists:
        yield from worklist_checks(worklist)
    for modality in settings.modalities:
        yield from modality_checks(modality)
    for kind, peers in (("dicomweb", settings.dicomweb), ("orthanc", settings.orthanc)):
        for server in peers:
            yield from web_checks(kind, server)
    yield from tool_checks()


def _print(console: Console, check: Check) -> None:
    mark = "ok      " if check.is_ok else "MISSING " if check.is_needed else "warning "
    console.print(f"{mark}{check.name}: {check.detail}", markup=False)
    if not check.is_ok:
        console.print(f"        -> {check.what_to_do}", markup=False)


def _values(check: Check) -> dict[str, object]:
    return {
        "name": check.name,
        "is_ok": check.is_ok,
        "is_needed": check.is_needed,
        "fault": "" if check.fault is None else check.fault.name,
        "detail": check.detail,
        "what_to_do": check.what_to_do,
    }
