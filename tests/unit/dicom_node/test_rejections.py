"""What an archive rejects goes out of use, and its study is read anew if it was read with it."""

from pathlib import Path

import pytest
from pydicom import Dataset

from dicom_node.database.engine import Database
from dicom_node.database.quarantine import Fate
from dicom_node.quarantine import released
from dicom_node.rejection_note import Title
from dicom_node.rejections import act_on_notes
from dicom_node.study import JobId, JobState, Reason, SOPInstanceUID, StudyState
from tests.rejection_notes import EXPIRED, OF_INTEREST, QUALITY, SAFETY, WRONG_ORDER, rejection_note
from tests.unit.dicom_node.arrivals import Sender, dataset
from tests.unit.dicom_node.conftest import TurnedClock

STUDY = "1.2.3.100"


def sent(sender: Sender, count: int = 2) -> list[Dataset]:
    images = [dataset() for _ in range(count)]
    for image in images:
        assert sender.send(image).status == 0
    return images


def complete(database: Database) -> JobId:
    job_id = database.studies.complete(database.studies.get(STUDY), Reason.QUIET_PERIOD)
    assert job_id is not None
    return job_id


def begin(database: Database, job_id: JobId) -> None:
    assert database.jobs.claim(job_id, "worker", 60) is not None


def reject(sender: Sender, database: Database, images: list[Dataset], title: str = SAFETY) -> None:
    assert sender.send(rejection_note(images[0], images, title)).status == 0
    act_on_notes(database)


def in_use(database: Database) -> set[str]:
    return {each.sop_instance_uid for each in database.instances.of_study(STUDY) if each.modality != "KO"}


@pytest.mark.parametrize(
    ("code", "title"),
    [(QUALITY, Title.QUALITY), (SAFETY, Title.PATIENT_SAFETY), (WRONG_ORDER, Title.WRONG_ORDER)],
)
def test_T20_rejected_image_of_a_study_that_was_read_opens_it_again(
    sender: Sender, database: Database, code: str, title: Title
) -> None:
    kept, rejected = sent(sender)
    job_id = complete(database)
    begin(database, job_id)

    reject(sender, database, [rejected], code)

    study = database.studies.get(STUDY)
    assert (study.state, study.revision, study.reason) == (StudyState.RECEIVING, 2, Reason.REJECTED)
    assert in_use(database) == {kept.SOPInstanceUID}
    assert database.rejections.jobs_on_rejected(study.study_instance_uid) == {job_id: title}
    assert database.rejections.concern(database.jobs.get(job_id))
    (refusal,) = database.refusals.of_study(STUDY)
    assert (refusal.reason, refusal.detail) == (Reason.REJECTED, title.meaning)
    again = complete(database)
    assert not database.rejections.concern(database.jobs.get(again))


def test_study_that_nobody_has_begun_to_read_stays_the_same_revision(
    sender: Sender, database: Database
) -> None:
    kept, rejected = sent(sender)
    job_id = complete(database)
    reject(sender, database, [rejected])
    study = database.studies.get(STUDY)
    assert (study.state, study.revision) == (StudyState.RECEIVING, 1)
    assert complete(database) == job_id
    begin(database, job_id)
    assert in_use(database) == {kept.SOPInstanceUID}
    assert not database.rejections.concern(database.jobs.get(job_id))


def test_study_that_is_arriving_goes_on_arriving(sender: Sender, database: Database) -> None:
    kept, rejected = sent(sender)
    reject(sender, database, [rejected])
    study = database.studies.get(STUDY)
    assert (study.state, study.revision) == (StudyState.RECEIVING, 1)
    assert in_use(database) == {kept.SOPInstanceUID}


def test_late_image_after_a_rejection_blames_no_reading_without_it(
    sender: Sender, database: Database, clock: TurnedClock
) -> None:
    _, rejected = sent(sender)
    begin(database, first := complete(database))
    reject(sender, database, [rejected])
    begin(database, second := complete(database))
    clock.turn(60)
    sent(sender, 1)
    third = complete(database)
    assert len({first, second, third}) == 3
    assert list(database.rejections.jobs_on_rejected(database.studies.get(STUDY).study_instance_uid)) == [
        first
    ]


def test_image_that_comes_after_its_note_is_never_read(sender: Sender, database: Database) -> None:
    kept, late = dataset(), dataset()
    sender.send(kept)
    reject(sender, database, [late])
    sender.send(late)
    study = database.studies.get(STUDY)
    assert database.rejections.take_out(study.study_instance_uid) == 1
    assert in_use(database) == {kept.SOPInstanceUID}
    assert sender.send(late).status == 0
    assert in_use(database) == {kept.SOPInstanceUID}, "it is the same, and still rejected"


@pytest.mark.parametrize("title", [OF_INTEREST, EXPIRED])
def test_other_key_objects_reject_nothing(sender: Sender, database: Database, title: str) -> None:
    images = sent(sender)
    begin(database, complete(database))
    reject(sender, database, images, title)
    study = database.studies.get(STUDY)
    assert (study.state, study.revision) == (StudyState.COMPLETE, 1)
    assert len(in_use(database)) == 2
    assert database.rejections.unread_notes() == []


def test_note_has_a_say_in_its_own_study_only(sender: Sender, database: Database) -> None:
    images = sent(sender)
    begin(database, complete(database))
    other = dataset(StudyInstanceUID="1.2.3.200", SeriesInstanceUID="1.2.3.200.1")
    sender.send(other)
    sender.send(rejection_note(other, images))
    act_on_notes(database)
    assert len(in_use(database)) == 2
    reject(sender, database, images[:1])
    assert len(in_use(database)) == 1, "the other note must not stand in the way of its own"


def test_note_that_cannot_be_read_costs_no_other(sender: Sender, database: Database) -> None:
    images = sent(sender)
    broken = rejection_note(images[0], images)
    sender.send(broken)
    path = next(each for each in database.instances.of_study(STUDY) if each.modality == "KO").path
    path.chmod(0o600)
    path.write_bytes(b"no DICOM" * 100)
    reject(sender, database, images[:1])
    assert len(in_use(database)) == 1
    assert database.rejections.unread_notes() == []


def test_image_that_could_not_be_read_anyway_stops_no_reading(sender: Sender, database: Database) -> None:
    images = sent(sender)
    begin(database, job_id := complete(database))
    broken = next(
        i for i in database.instances.of_study(STUDY) if i.sop_instance_uid == images[0].SOPInstanceUID
    )
    database.refusals.quarantine_instance(broken.sop_instance_uid, Reason.PIXEL_DATA, "")
    reject(sender, database, images[:1])
    assert database.studies.get(STUDY).revision == 1
    assert not database.rejections.concern(database.jobs.get(job_id))


def test_title_of_another_coding_scheme_rejects_nothing(sender: Sender, database: Database) -> None:
    images = sent(sender)
    note = rejection_note(images[0], images)
    note.ConceptNameCodeSequence[0].CodingSchemeDesignator = "99LOCAL"
    sender.send(note)
    act_on_notes(database)
    assert len(in_use(database)) == 2


def test_note_that_is_lost_unread_can_be_sent_again(sender: Sender, database: Database) -> None:
    images = sent(sender)
    note = rejection_note(images[0], images[:1])
    sender.send(note)
    database.refusals.lose_instance(SOPInstanceUID(note.SOPInstanceUID), "its disk is broken")
    assert database.rejections.unread_notes() == []
    assert sender.send(note).status == 0
    act_on_notes(database)
    assert in_use(database) == {images[1].SOPInstanceUID}


def test_released_image_is_used_again_and_stays(sender: Sender, database: Database) -> None:
    images = sent(sender)
    begin(database, complete(database))
    reject(sender, database, images[:1])
    (found,) = database.quarantine.all()
    released(database, found.number, by="ada", why="a mistake")
    uid = database.studies.get(STUDY).study_instance_uid
    assert database.rejections.take_out(uid) == 0
    assert len(in_use(database)) == 2
    assert database.rejections.jobs_on_rejected(uid) == {}


def test_a_second_note_on_the_same_image_changes_nothing(sender: Sender, database: Database) -> None:
    images = sent(sender)
    begin(database, complete(database))
    reject(sender, database, images[:1], QUALITY)
    complete(database)
    reject(sender, database, images[:1], SAFETY)
    study = database.studies.get(STUDY)
    assert (study.state, study.revision) == (StudyState.COMPLETE, 2)


def test_rejected_images_are_no_obstacle_to_removal(
    sender: Sender, database: Database, clock: TurnedClock, tmp_path: Path
) -> None:
    images = sent(sender)
    reject(sender, database, images)
    study = database.studies.get(STUDY)
    assert database.studies.set_aside(study, Reason.NO_IMAGES)
    assert database.removals.obstacle(STUDY) == ""
    database.removals.forget(STUDY, "old")
    assert database.rejections.jobs_on_rejected(study.study_instance_uid) == {}
    assert database.rejections.unread_notes() == []


def test_notes_of_our_own_that_come_back_reject_nothing(sender: Sender, database: Database) -> None:
    images = sent(sender)
    note = rejection_note(images[0], images)
    note.Manufacturer = "medversa-node"
    sender.send(note)
    assert database.rejections.unread_notes() == []
    assert len(in_use(database)) == 2


def test_job_states_that_count_as_begun(sender: Sender, database: Database) -> None:
    images = sent(sender)
    job_id = complete(database)
    lease = database.jobs.claim(job_id, "worker", 60)
    assert lease is not None
    database.jobs.mark(lease, JobState.FAILED, Reason.MODEL_ERROR)
    reject(sender, database, images[:1])
    assert database.studies.get(STUDY).revision == 2


def test_rejected_image_cannot_be_compared_with_and_goes_out_of_use(
    sender: Sender, database: Database
) -> None:
    kept, late = dataset(), dataset()
    sender.send(kept)
    reject(sender, database, [late])
    sender.send(late)
    job_id = complete(database)
    assert not database.rejections.compare(job_id, {str(late.SOPInstanceUID): STUDY})
    assert in_use(database) == {kept.SOPInstanceUID}
    assert database.rejections.compare(job_id, {str(kept.SOPInstanceUID): STUDY})


def test_note_of_another_study_does_not_stand_in_the_way_of_a_comparison(
    sender: Sender, database: Database
) -> None:
    (image,) = sent(sender, 1)
    other = dataset(StudyInstanceUID="1.2.3.200", SeriesInstanceUID="1.2.3.200.1")
    sender.send(other)
    sender.send(rejection_note(other, [image]))
    act_on_notes(database)
    assert database.rejections.compare(complete(database), {str(image.SOPInstanceUID): STUDY})


def test_what_an_earlier_try_was_shown_counts_too(sender: Sender, database: Database) -> None:
    first, second = sent(sender)
    job_id = complete(database)
    for shown in (first, second):
        assert database.rejections.compare(job_id, {str(shown.SOPInstanceUID): STUDY})
        assert database.rejections.compare(job_id, {str(shown.SOPInstanceUID): STUDY})
    reject(sender, database, [first])
    assert job_id in database.rejections.jobs_on_rejected(database.jobs.get(job_id).study_instance_uid)


def test_rejected_image_that_was_dropped_stays_rejected(sender: Sender, database: Database) -> None:
    kept, rejected = sent(sender)
    reject(sender, database, [rejected])
    (number,) = [found.number for found in database.quarantine.all()]
    database.quarantine.decide(number, Fate.DROPPED, decided_by="ada", why="not needed")
    assert sender.send(rejected).status == 0
    assert in_use(database) == {kept.SOPInstanceUID}
