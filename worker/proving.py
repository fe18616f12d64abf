"""Asks destinations to show that they keep what they accepted, as each is configured to."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from dicom_node.content_digest import coerced, content_digest
from dicom_node.database.engine import Database
from dicom_node.errors import PeerError
from dicom_node.proof import ProofState, Step, next_step
from dicom_node.read_back import read_back
from dicom_node.settings import Destination, NodeSettings
from dicom_node.storage_commitment.asking import ask_for_commitment
from dicom_node.storage_commitment.messages import Reference, Request
from dicom_node.storage_commitment.reports import take_report
from dicom_node.study import DeliveryState, JobId, Reason, SOPInstanceUID, StoredResult
from worker.errors import UndeliveredError

logger = logging.getLogger(__name__)

PROMPT_ANSWER_S: Final = 5.0
"""How long a worker waits for a report; a later one makes the job due again."""
_LOOK_EVERY_S: Final = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Prover:
    """Brings each accepted object of one job to proof."""

    settings: NodeSettings
    database: Database

    def __call__(self, destination: Destination, results: Sequence[StoredResult]) -> UndeliveredError | None:
        """Ask for what is not proven yet; return why the job is not done, or None.

        An object that the destination turns out not to keep is opened for delivery again.
        """
        method = destination.proof.by
        if method == "status" or not results:
            return None
        job_id = results[0].job_id
        wanted = self._accepted(destination, results)
        steps = self._steps(destination, job_id, wanted)
        try:
            self._ask(destination, [r for r in wanted if steps[r.sop_instance_uid] is Step.ASK])
        except PeerError as error:
            return UndeliveredError(Reason.UNPROVEN, f"{destination.name}: {error}", is_final=False)
        return self._judge(destination, job_id, wanted)

    def _judge(
        self, destination: Destination, job_id: JobId, wanted: Sequence[StoredResult]
    ) -> UndeliveredError | None:
        steps = self._steps(destination, job_id, wanted)
        again = [uid for uid, step in steps.items() if step is Step.SEND_AGAIN]
        self.database.proofs.send_again(destination.name, again)
        left = sum(step is not Step.NOTHING for step in steps.values())
        counts = {"proven": len(wanted) - left, "sent_again": len(again)}
        logger.info("proof asked for", extra={"job_id": job_id, "destination": destination.name, **counts})
        if given_up := [result for result in wanted if steps[result.sop_instance_uid] is Step.GIVE_UP]:
            return self._give_up(destination, job_id, given_up)
        if not left:
            return None
        detail = f"{destination.name}: {left} of {len(wanted)} objects not proven, {len(again)} sent again"
        return UndeliveredError(Reason.UNPROVEN, detail, is_final=False)

    def _accepted(self, destination: Destination, results: Sequence[StoredResult]) -> list[StoredResult]:
        """List what the destination must have; what was withdrawn an archive may hide (IHE IOCM)."""
        job_id = results[0].job_id
        withdrawn = self.database.withdrawals.withdrawn(job_id)
        accepted = {
            delivery.sop_instance_uid
            for delivery in self.database.deliveries.of_job(job_id)
            if delivery.destination == destination.name and delivery.state is DeliveryState.DELIVERED
        }
        return [result for result in results if result.sop_instance_uid in accepted - withdrawn]

    def _steps(
        self, destination: Destination, job_id: JobId, wanted: Sequence[StoredResult]
    ) -> dict[SOPInstanceUID, Step]:
        known = {
            proof.sop_instance_uid: proof
            for proof in self.database.proofs.of_job(job_id)
            if proof.destination == destination.name and proof.method == destination.proof.by
        }
        now, patience_s = self.database.connections.now(), destination.proof.answer_within_s
        return {
            result.sop_instance_uid: next_step(known.get(result.sop_instance_uid), now, patience_s)
            for result in wanted
        }

    def _ask(self, destination: Destination, results: Sequence[StoredResult]) -> None:
        if not results:
            return
        if destination.proof.by == "read-back":
            for result in results:
                self._read_back(destination, result)
            return
        self._ask_for_commitment(destination, results)

    def _ask_for_commitment(self, destination: Destination, results: Sequence[StoredResult]) -> None:
        proof = destination.proof
        changed = {"ae_title": proof.ae_title, "host": proof.host, "port": proof.port}
        peer = destination.model_copy(
            update={name: value for name, value in changed.items() if value is not None}
        )
        references = tuple(Reference(result.sop_class_uid, result.sop_instance_uid) for result in results)
        request = Request(str(generate_uid(prefix=None)), references)
        uids = [result.sop_instance_uid for result in results]
        # Written first: the report may be here before the response is.
        self.database.proofs.ask(destination.name, uids, proof.by, request.transaction_uid)
        try:
            ask_for_commitment(peer, request, partial(take_report, self.database))
        except PeerError:
            self.database.proofs.not_asked(destination.name, uids)
            raise
        self._wait_for_report(destination, results)

    def _wait_for_report(self, destination: Destination, results: Sequence[StoredResult]) -> None:
        until = time.monotonic() + min(PROMPT_ANSWER_S, destination.proof.answer_within_s)
        while time.monotonic() < until:
            if Step.WAIT not in self._steps(destination, results[0].job_id, results).values():
                return
            time.sleep(_LOOK_EVERY_S)

    def _read_back(self, destination: Destination, result: StoredResult) -> None:
        source = destination.proof.source or ""
        kept = read_back(self.settings, source, result)
        self.database.proofs.ask(destination.name, [result.sop_instance_uid], destination.proof.by)
        state, detail = compared(dcmread(result.path), kept)
        self.database.proofs.answer(destination.name, result.sop_instance_uid, state, detail)

    def _give_up(
        self, destination: Destination, job_id: JobId, results: Sequence[StoredResult]
    ) -> UndeliveredError:
        """End the job visibly; somebody who retries it begins with all requests left."""
        known = {
            proof.sop_instance_uid
            for proof in self.database.proofs.of_job(job_id)
            if proof.destination == destination.name and proof.state is ProofState.DIFFERENT
        }
        uids = [result.sop_instance_uid for result in results]
        self.database.proofs.begin_anew(destination.name, uids)
        differing = [result for result in results if result.sop_instance_uid in known]
        if differing:
            detail = f"{destination.name}: keeps another {differing[0].modality} under the UID of ours"
            return UndeliveredError(Reason.OTHER_CONTENT, detail, is_final=True)
        detail = f"{destination.name}: {len(results)} objects were never proven"
        return UndeliveredError(Reason.UNPROVEN, detail, is_final=True)


def compared(sent: Dataset, kept: Dataset | None) -> tuple[ProofState, str]:
    """Judge what was read back."""
    if kept is None:
        return ProofState.MISSING, "not there"
    if kept.file_meta.TransferSyntaxUID.is_compressed and "PixelData" in kept:
        try:
            kept.decompress()
        except (RuntimeError, ValueError, NotImplementedError, AttributeError):
            return ProofState.DIFFERENT, "pixel data in an encoding that cannot be compared"
    digest = content_digest(sent)
    if content_digest(kept) != digest:
        return ProofState.DIFFERENT, "another content"
    changed = coerced(sent, kept)
    return ProofState.PROVEN, f"sha256 {digest}" + (f", corrected: {', '.join(changed)}" if changed else "")
