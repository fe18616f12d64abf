"""What an operator can do about each reason."""

from typing import Final

from dicom_node.study import Reason

WHAT_TO_DO: Final[dict[Reason, str]] = {
    Reason.QUIET_PERIOD: "nothing",
    Reason.LATE_INSTANCE: "nothing; raise quiet_period_s if it happens often",
    Reason.NO_IMAGES: "nothing; route only CR, DX, CT, SC and photographs here",
    Reason.NO_RULE: "nothing, or add a rule; `medversa-node plan STUDY` says why none fits",
    Reason.RULED_OUT: "nothing, or change the rule; `medversa-node plan STUDY` says which and why",
    Reason.OUT_OF_DOMAIN: "nothing, or route this kind of study elsewhere",
    Reason.OWN_RESULT: "nothing; the PACS may be told not to route our results back",
    Reason.DUPLICATE: "nothing",
    Reason.UID_CONFLICT: "find out why the sender used one UID twice; the first is in use, results are held",
    Reason.UID_MISMATCH: "repair the sender: request and data set name different objects",
    Reason.MISSING_UID: "repair the sender or the file: every object needs its four UIDs",
    Reason.ILLEGAL_UID: "repair the sender: a UID is digits and dots, at most 64 characters",
    Reason.UNREADABLE_HEADER: "check the file with dcmdump; send it uncompressed",
    Reason.NESTING: "check the file; it is damaged or hostile",
    Reason.PIXEL_DATA: "check that the file displays elsewhere; send it again",
    Reason.GEOMETRY: "check the series: slices are missing, repeated or of several volumes",
    Reason.PATIENT_MISMATCH: "correct the patient at the source and send again; the results are held",
    Reason.DISK_FULL: "free space in data_dir; senders will try again",
    Reason.STORAGE_FAULT: "check disk and database; run `medversa-node doctor`",
    Reason.WORKER_LOST: "check memory and the worker's log; start a worker",
    Reason.TIMEOUT: "raise worker.time_limit_s or use a faster device",
    Reason.MODEL_ERROR: "look into the worker's log with the job number",
    Reason.WRITER_ERROR: "look into the worker's log with the job number; please report it",
    Reason.WEIGHTS: "run `medversa-node weights` and install them again",
    Reason.PEER_UNREACHABLE: "start the destination or correct its address; sending is tried again",
    Reason.PEER_REFUSED: "look into the destination's log: it must accept these SOP classes from us",
    Reason.UNPROVEN: "see `medversa-node results proofs`; the destination must know our AE title and port",
    Reason.OTHER_CONTENT: "find out at the destination who stored another object under the UID of a result",
    Reason.DELIVERED: "nothing",
    Reason.WITHHELD: "look at `medversa-node results held`, then release or drop them",
    Reason.RELEASED: "nothing",
    Reason.DROPPED: "nothing; who dropped them and why: `medversa-node results held --all`",
    Reason.WITHDRAWN: "nothing; who withdrew them and why: `medversa-node results withdrawn`",
    Reason.INTERNAL: "look into the log; please report it",
}
