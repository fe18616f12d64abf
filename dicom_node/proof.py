"""Proof that a destination keeps an object, and the pure rule what to do next about it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from dicom_node.study import SOPInstanceUID

ASKED_BEFORE_SENDING_AGAIN: Final = 3
"""Requests without an answer after which the object is sent once more, as it was."""
MOST_REQUESTS: Final = 9
"""Requests after which somebody has to look."""


class ProofState(StrEnum):
    """What is known of one object at one destination."""

    OPEN = "open"
    """Not asked for since the object was last sent."""
    ASKED = "asked"
    PROVEN = "proven"
    MISSING = "missing"
    """The destination says that it does not keep the object."""
    DIFFERENT = "different"
    """It keeps another content under the same SOP Instance UID."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What one destination has said of one object that it was sent."""

    sop_instance_uid: SOPInstanceUID
    destination: str
    method: str
    """`commitment` or `read-back`."""
    state: ProofState
    requests: int
    """How often it was asked for, since somebody last had to look."""
    asked_at: datetime | None
    answered_at: datetime | None
    transaction_uid: str | None
    """Of the last request for commitment."""
    detail: str
    """Digest of what was read back, or the Failure Reason (PS3.3 C.14.1.1)."""


class Step(StrEnum):
    """What is to be done about one object at one destination."""

    NOTHING = "nothing"
    ASK = "ask"
    WAIT = "wait"
    SEND_AGAIN = "send again"
    GIVE_UP = "give up"


def next_step(proof: Proof | None, now: datetime, answer_within_s: float) -> Step:
    """Decide about one object that the destination has accepted.

    What is missing is sent again, what does not answer is asked again and, every third time, sent again:
    an archive may have been restarted and know nothing of the request. Other content is final.
    """
    if proof is None or proof.state is ProofState.OPEN:
        return Step.ASK
    match proof.state:
        case ProofState.PROVEN:
            return Step.NOTHING
        case ProofState.DIFFERENT:
            # Without requests: somebody has looked, and tries again.
            return Step.GIVE_UP if proof.requests else Step.ASK
        case ProofState.MISSING:
            return Step.GIVE_UP if proof.requests >= MOST_REQUESTS else Step.SEND_AGAIN
        case _:
            if proof.asked_at is not None and (now - proof.asked_at).total_seconds() < answer_within_s:
                return Step.WAIT
            if proof.requests >= MOST_REQUESTS:
                return Step.GIVE_UP
            is_third = proof.requests % ASKED_BEFORE_SENDING_AGAIN == 0
            return Step.SEND_AGAIN if is_third else Step.ASK
