"""Who observed, in which language, by which algorithm: PS3.16 TID 1002, 1204 and 4019 in every document."""

from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    ContentItem,
    DeviceObserverIdentifyingAttributes,
    LanguageOfContentItemAndDescendants,
    ObserverContext,
)
from pydicom.sr.codedict import codes as dictionary
from pydicom.sr.coding import Code

from structured_reports import codes
from structured_reports.provenance import (
    DEVICE_MODEL,
    DEVICE_UID,
    MANUFACTURER,
    algorithm_parameters,
    model_version,
)
from structured_reports.sources import Run
from structured_reports.writers import content
from structured_reports.writers.writer import Draft

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


def algorithm(draft: Draft) -> list[ContentItem]:
    """Identify the algorithm, once for everything below the item that these become children of."""
    model = draft.reading.model
    items = AlgorithmIdentification(
        name=model.name[:64],
        version=model_version(model),
        parameters=algorithm_parameters(draft.reading, draft.run),
        family=Code(codes.ARTIFICIAL_INTELLIGENCE.value, "DCM", codes.ARTIFICIAL_INTELLIGENCE.meaning),
        manufacturer=MANUFACTURER,
    )
    return [content.narrowed(item) for item in items]
