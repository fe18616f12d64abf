"""QIDO-RS (PS3.18 10.6): the index narrows, headers decide, a page of matches is answered."""

from collections.abc import Callable, Iterator
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from anyio.to_thread import run_sync
from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dicom_node.database.catalogue import Entry, Level
from dicom_node.errors import RequestError
from dicom_node.media_type import accepted
from dicom_node.web.attributes import MATCHED, RETURNED, path_of
from dicom_node.web.matching import matches
from dicom_node.web.query import Query, query_of
from dicom_node.web.service import JSON, Place, Service, place_of

PAGE: Final = 200
"""Candidates that are looked at together."""
MORE: Final = "There are additional results that can be requested"
UTF_8: Final = "ISO_IR 192"
"""Specific Character Set of every answer in JSON (PS3.18 F.2)."""

Answer = dict[str, Any]
"""One match in the DICOM JSON model."""


async def search(level: Level, service: Service, request: Request, caller: str) -> Response:
    """Answer a search for studies, series or instances."""
    check_json(request)
    place = place_of(request.path_params)
    query = query_of(request.query_params.multi_items(), level, place, service.settings.max_results)
    answers, has_more = await run_sync(_page, service, level, query, partial(service.url, request))
    warnings = [*query.warnings, *([MORE] if has_more else [])]
    headers = {"Warning": ", ".join(f'299 medversa-node "{each}"' for each in warnings)} if warnings else None
    if not answers:
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)
    return JSONResponse(answers, media_type=JSON, headers=headers)


def check_json(request: Request) -> None:
    """Check that the client takes JSON.

    Raises:
        RequestError: 406.
    """
    wanted = accepted(request.query_params.get("accept") or request.headers.get("Accept") or "*/*")
    if not any(each.covers(JSON) or each.covers("application/json") for each in wanted):
        raise RequestError(HTTPStatus.NOT_ACCEPTABLE, f"the answer is {JSON}")


def _page(
    service: Service, level: Level, query: Query, url: Callable[[str], str]
) -> tuple[list[Answer], bool]:
    """Return the matches that are asked for, and whether there are more."""
    found: list[Answer] = []
    for number, (ds, entry) in enumerate(_matches(service, level, query)):
        if number >= query.offset + query.limit:
            return found, True
        if number >= query.offset:
            found.append(_answer(ds, entry, level, query, url(_place(entry, level).path)))
    return found, False


def _matches(service: Service, level: Level, query: Query) -> Iterator[tuple[Dataset, Entry]]:
    offset = 0
    while True:
        page = service.database.catalogue.page(level, query.narrowing, offset=offset, limit=PAGE)
        for entry in page:
            ds = _described(service, entry, level, query)
            if all(matches(ds, path, pattern) for path, pattern in query.keys):
                yield ds, entry
        if len(page) < PAGE:
            return
        offset += PAGE


def _described(service: Service, entry: Entry, level: Level, query: Query) -> Dataset:
    """Return the header of an entry with what the index knows beside it."""
    more = query.include - _ALL[level]
    ds = Dataset()
    for element in service.headers.of(entry.instance, more if level is Level.INSTANCE else ()):
        ds.add(element)
    if level is Level.STUDY:
        ds.ModalitiesInStudy = list(entry.modalities)
        ds.NumberOfStudyRelatedSeries = entry.series_count
        ds.NumberOfStudyRelatedInstances = entry.instance_count
    elif level is Level.SERIES:
        ds.NumberOfSeriesRelatedInstances = entry.instance_count
    return ds


_ALL: Final = {
    level: frozenset(path_of(each)[0] for each in MATCHED[level] + RETURNED[level]) for level in Level
}


def _answer(ds: Dataset, entry: Entry, level: Level, query: Query, url: str) -> Answer:
    instance = entry.instance
    answer = Dataset()
    for tag in _returned(level, query):
        if tag in ds:
            answer.add(ds[tag])
        elif dictionary_has_tag(tag):
            answer.add(DataElement(tag, dictionary_VR(tag), None))
    answer.SpecificCharacterSet = UTF_8
    answer.RetrieveURL = url
    answer.StudyInstanceUID = instance.study_instance_uid
    if "InstanceAvailability" in answer:
        answer.InstanceAvailability = "ONLINE"
    if level is not Level.STUDY:
        answer.SeriesInstanceUID = instance.series_instance_uid
    return answer.to_json_dict(suppress_invalid_tags=True)


def _returned(level: Level, query: Query) -> set[int]:
    """Return the tags of an answer; private and other attributes only as far as asked for."""
    tags = {path_of(each)[0] for each in RETURNED[level]}
    if level is not Level.STUDY and query.is_across_studies:
        tags |= {path_of(each)[0] for each in RETURNED[Level.STUDY]}
        tags -= _COUNTS
    if query.includes_all:
        tags |= _ALL[level] - _COUNTS
    return tags | (query.include if level is Level.INSTANCE else query.include & _ALL[level])


_COUNTS: Final = frozenset(
    path_of(each)[0]
    for each in ("ModalitiesInStudy", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances")
)


def _place(entry: Entry, level: Level) -> Place:
    instance = entry.instance
    series = "" if level is Level.STUDY else instance.series_instance_uid
    return Place(
        instance.study_instance_uid, series, instance.sop_instance_uid if level is Level.INSTANCE else ""
    )
