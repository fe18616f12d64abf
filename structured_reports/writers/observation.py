"""Who observed, in which language: what every document of ours begins with (PS3.16 TID 1204, 1002)."""

from highdicom.sr import (
    CodedConcept,
    DeviceObserverIdentifyingAttributes,
    LanguageOfContentItemAndDescendants,
    ObserverContext,
)
from pydicom.sr.codedict import codes as dictionary

from structured_reports.provenance import DEVICE_MODEL, DEVICE_UID, MANUFACTURER
from structured_reports.sources import Run

_LANGUAGES = {
    "en-US": "English (United States)",
    "en-GB": "English (United Kingdom)",
    "de": "German",
    "ru": "Russian",
    "ja": "Japanese",
}


def language(tag: str) -> LanguageOfContentItemAndDescendants:
    """Name the language of a document by its RFC 5646 tag."""
    return LanguageOfContentItemAndDescendants(CodedConcept(tag, "RFC5646", _LANGUAGES.get(tag, tag)))


def device_observer(run: Run) -> ObserverContext:
    """Name this installation as the one observer: no person has observed anything."""
    attributes = DeviceObserverIdentifyingAttributes(
        uid=run.device_uid or DEVICE_UID,
        name=run.station_name,
        manufacturer_name=MANUFACTURER,
        model_name=DEVICE_MODEL,
        serial_number=run.device_serial_number,
    )
    return ObserverContext(observer_type=dictionary.DCM.Device, observer_identifying_attributes=attributes)
