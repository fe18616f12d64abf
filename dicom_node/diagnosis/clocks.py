"""Whether our clock agrees with those of others: leases, quiet periods and retries are times."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from redis import Redis
from redis.exceptions import RedisError

from dicom_node.database.connections import Clock, utc_now
from dicom_node.database.engine import open_database
from dicom_node.diagnosis.faults import Check, Fault, faulty, fine
from dicom_node.errors import NodeError
from dicom_node.priors.web import connected
from dicom_node.settings import NodeSettings, WebPeer

MOST_SKEW: Final = timedelta(seconds=5)
TIMEOUT_S: Final = 3.0

Ask = Callable[[], datetime | None]
"""Returns the time of another's clock; None if it does not tell."""


def clock_checks(settings: NodeSettings, now: Clock = utc_now) -> Iterator[Check]:
    """Compare our clock with the index's past, with the broker's server, and with Orthancs over REST.

    A clock that is not told, since its owner is away, is no finding: another check says so.
    """
    yield from _index_checks(settings, now)
    if settings.broker.url.startswith(("redis://", "rediss://")):
        yield from _compared("clock of the broker", lambda: _redis_time(settings.broker.url), settings, now)
    for peer in settings.orthanc:
        hasty = peer.model_copy(update={"timeout_s": TIMEOUT_S})
        yield from _compared(f"clock of {peer.name}", lambda hasty=hasty: _orthanc_time(hasty), settings, now)


def _compared(name: str, ask: Ask, settings: NodeSettings, now: Clock) -> Iterator[Check]:
    before = now()
    theirs = ask()
    if theirs is None:
        return
    ours = before + (now() - before) / 2
    yield _judged(name, ours - theirs, settings)


def _judged(name: str, skew: timedelta, settings: NodeSettings) -> Check:
    seconds = skew.total_seconds()
    if abs(skew) <= MOST_SKEW:
        return fine(name, f"{abs(seconds):.1f} s from ours")
    detail = f"ours is {abs(seconds):.0f} s {'ahead' if seconds > 0 else 'behind'}"
    # A lease that looks over before it is, is another worker's.
    is_needed = abs(seconds) >= settings.worker.lease_s / 2
    return faulty(name, Fault.CLOCK_SKEW, detail, is_needed=is_needed)


def _index_checks(settings: NodeSettings, now: Clock) -> Iterator[Check]:
    """The index's newest entry lies in our past, unless a clock was turned back."""
    url = settings.node.database_url
    if url.startswith("sqlite") and not settings.node.data_dir.exists():
        return
    try:
        database = open_database(url)
    except NodeError:
        return
    studies = database.studies.all()
    database.close()
    newest = studies[-1].last_received_at if studies else None
    if newest is not None and newest > now() + MOST_SKEW:
        yield _judged("clock against the index", now() - newest, settings)


def _redis_time(url: str) -> datetime | None:
    try:
        with Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S) as client:
            seconds, microseconds = client.time()
    except (RedisError, OSError, ValueError):
        return None
    return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds)


def _orthanc_time(peer: WebPeer) -> datetime | None:
    try:
        with connected(peer) as client:
            response = client.get("tools/now")
            response.raise_for_status()
            return datetime.strptime(response.text.strip(), "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except NodeError:
        return None
