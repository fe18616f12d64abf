"""The Store Instances Response Module (PS3.18 Annex I.2) in the DICOM JSON model (Annex F)."""

from collections.abc import Callable, Sequence
from typing import Any

from dicom_node.web.store import Stored

Element = dict[str, Any]
Url = Callable[[str], str]
"""Makes a link of a path below the service."""


def store_response(stored: Sequence[Stored], url: Url) -> dict[str, Element]:
    """Say of each instance whether it is stored, and why not."""
    failed = [each for each in stored if not each.is_stored]
    sequences = {
        "00081198": [_named(each, "00081197") for each in failed if each.sop_instance_uid],
        "00081199": [_referenced(each, url) for each in stored if each.is_stored],
        "0008119A": [{"00081197": _short(each.status)} for each in failed if not each.sop_instance_uid],
    }
    response: dict[str, Element] = {
        tag: {"vr": "SQ", "Value": items} for tag, items in sequences.items() if items
    }
    studies = {each.study_instance_uid for each in stored if each.is_in_use}
    if len(studies) == 1:
        response["00081190"] = _link(url(f"/studies/{studies.pop()}"))
    return dict(sorted(response.items()))


def _named(stored: Stored, reason: str) -> dict[str, Element]:
    """One item of Failed SOP Sequence, or the part of Referenced SOP Sequence that is alike."""
    item: dict[str, Element] = {
        "00081150": {"vr": "UI", "Value": [stored.sop_class_uid]},
        "00081155": {"vr": "UI", "Value": [stored.sop_instance_uid]},
    }
    if stored.status:
        item[reason] = _short(stored.status)
    return item


def _referenced(stored: Stored, url: Url) -> dict[str, Element]:
    item = _named(stored, "00081196")
    path = (
        f"/studies/{stored.study_instance_uid}/series/{stored.series_instance_uid}"
        f"/instances/{stored.sop_instance_uid}"
    )
    item["00081190"] = _link(url(path)) if stored.is_in_use else {"vr": "UR"}
    return dict(sorted(item.items()))


def _short(value: int) -> Element:
    return {"vr": "US", "Value": [value]}


def _link(url: str) -> Element:
    return {"vr": "UR", "Value": [url]}
