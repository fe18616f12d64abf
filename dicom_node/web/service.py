"""What all transactions of the DICOMweb server share: store, index, settings and links to itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from threading import Semaphore
from typing import Final

from starlette.requests import Request

from dicom_node.database.engine import Database
from dicom_node.errors import RequestError
from dicom_node.intake import Intake
from dicom_node.storage import InstanceStore
from dicom_node.uids import is_uid
from dicom_node.web.headers import Headers
from dicom_node.web.settings import Web

ROOT: Final = "/dicom-web"
"""Path of the service."""
MOST_DECODED_AT_ONCE: Final = 2
JSON: Final = "application/dicom+json"


@dataclass(frozen=True, slots=True, eq=False)
class Service:
    """One DICOMweb server."""

    settings: Web
    database: Database
    store: InstanceStore
    intake: Intake
    headers: Headers = field(default_factory=Headers)
    decoding: Semaphore = field(default_factory=lambda: Semaphore(MOST_DECODED_AT_ONCE))
    """To be held by whoever has all pixels of an instance in memory."""

    def url(self, request: Request, path: str = "") -> str:
        """Make a link to a path below the service, as clients see it."""
        return (self.settings.public_url or self._as_asked(request)).rstrip("/") + ROOT + path

    def _as_asked(self, request: Request) -> str:
        """Return our root as the client named it, with the port that some clients leave out."""
        base = request.base_url
        if base.port is None and not self.settings.is_behind_proxy:
            base = base.replace(port=self.settings.port)
        return str(base)


@dataclass(frozen=True, slots=True)
class Place:
    """What the path of a request names; an empty UID names all."""

    study: str = ""
    series: str = ""
    instance: str = ""

    @property
    def path(self) -> str:
        names = (("studies", self.study), ("series", self.series), ("instances", self.instance))
        return "".join(f"/{name}/{uid}" for name, uid in names if uid)


def place_of(parameters: Mapping[str, str]) -> Place:
    """Read the UIDs of a path.

    Raises:
        RequestError: 400 if one is no UID.
    """
    place = Place(*(str(parameters.get(name, "")) for name in ("study", "series", "instance")))
    if not all(is_uid(uid) for uid in (place.study, place.series, place.instance) if uid):
        raise RequestError(HTTPStatus.BAD_REQUEST, "the path holds what is no UID")
    return place
