"""What becomes of single values: dates, identifiers, codes, ages, pixels."""

from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from tests.reader_documents import coded
from worker.archive_export.ages import age_at, capped_age
from worker.archive_export.burned_in import holds_text, why_flagged
from worker.archive_export.coded_entries import UNKNOWN, published_code
from worker.archive_export.deidentifier import Deidentifier
from worker.archive_export.files import read_instance, write_instance
from worker.archive_export.identifiers import Identifiers
from worker.archive_export.pixel_data import native_pixels
from worker.archive_export.pseudonyms import Patient, Pseudonyms, read_key
from worker.archive_export.report_text import TextCleaner
from worker.archive_export.sources import Choice, FolderSource
from worker.errors import AskedAmissError

PSEUDONYMS = Pseudonyms(b"k" * 32)
PATIENT = Patient("\\4711")


def slice_of(bits_stored: int = 12) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, "1.2.3.4.5.6.7"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3.4", "1.2.3.4.5"
    ds.PatientID, ds.PatientBirthDate, ds.StudyDate = "4711", "19310305", "20240229"
    ds.Modality = "CT"
    ds.Rows = ds.Columns = 4
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, bits_stored, bits_stored - 1, 0
    ds.PixelData = np.arange(16, dtype="<u2").tobytes()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def cleaned(ds: Dataset) -> Dataset:
    texts = TextCleaner(Identifiers(frozenset(), frozenset()), frozenset())
    return Deidentifier(PSEUDONYMS, PATIENT, texts).clean(ds)


def test_all_dates_of_a_patient_move_alike() -> None:
    ds = slice_of()
    ds.AcquisitionDateTime = "20240301101112.5+0900"

    found = cleaned(ds)

    assert found.StudyDate == PSEUDONYMS.shifted_date("20240229", PATIENT) != "20240229"
    # Not checked: pydicom types values loosely.
    # Not checked: a date of eight digits is shifted to one.
    assert found.AcquisitionDateTime == PSEUDONYMS.shifted_date("20240301", PATIENT) + "101112.5"  # type: ignore[operator]
    assert not found.PatientBirthDate


def test_the_object_says_how_it_was_cleaned() -> None:
    found = cleaned(slice_of())

    assert found.PatientIdentityRemoved == "YES"
    assert found.LongitudinalTemporalInformationModified == "MODIFIED"
    codes = [item.CodeValue for item in found.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113104", "113107", "113108"]


def test_another_key_gives_other_pseudonyms() -> None:
    other = Pseudonyms(b"j" * 32)

    assert other.uid("1.2.3") != PSEUDONYMS.uid("1.2.3") == PSEUDONYMS.uid("1.2.3")
    assert other.subject(PATIENT) != PSEUDONYMS.subject(PATIENT)


def test_the_key_never_lies_in_the_output(tmp_path: Path) -> None:
    with pytest.raises(AskedAmissError, match="output folder"):
        read_key(tmp_path / "out" / "key", tmp_path / "out")


def test_a_key_is_made_once_and_is_its_owners(tmp_path: Path) -> None:
    made = read_key(tmp_path / "key", tmp_path / "out")

    assert read_key(tmp_path / "key", tmp_path / "out") == made
    assert (tmp_path / "key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("age", "kept"), [("045Y", "045Y"), ("093Y", "090Y"), ("006M", "006M"), ("old", None)]
)
def test_the_oldest_have_one_age(age: str, kept: str | None) -> None:
    assert capped_age(age) == kept


def test_an_age_is_worked_out_before_the_birth_date_goes() -> None:
    assert age_at(slice_of()) == "090Y"


def test_published_codes_get_published_meanings_and_others_go() -> None:
    (heart,) = coded("80891009", "SCT", "Heart of J. Doe")
    (local,) = coded("DOE1", "99HOSPITAL", "Doe")
    (old,) = coded("T-28000", "SRT", "x")

    assert published_code(heart).meaning == "Heart"
    assert published_code(local) == UNKNOWN
    assert published_code(old).value == "39607008"


def test_references_stay_consistent_and_classes_stay() -> None:
    ds = slice_of()
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, ds.SOPInstanceUID
    ds.SourceImageSequence = Sequence([item])

    found = cleaned(ds)

    (reference,) = found.SourceImageSequence
    assert reference.ReferencedSOPInstanceUID == found.SOPInstanceUID != ds.SOPInstanceUID
    assert reference.ReferencedSOPClassUID == CTImageStorage


def test_bits_of_overlays_and_bytes_behind_the_pixels_are_cut() -> None:
    ds = slice_of()
    ds.PixelData = (np.arange(16, dtype="<u2") | 0xF000).tobytes()

    assert native_pixels(ds).PixelData == np.arange(16, dtype="<u2").tobytes()


def test_signed_pixels_keep_their_sign() -> None:
    ds = slice_of()
    ds.PixelRepresentation = 1
    values = np.arange(-8, 8, dtype="<i2")
    ds.PixelData = (values & 0x0FFF).tobytes()

    np.testing.assert_array_equal(np.frombuffer(native_pixels(ds).PixelData, "<i2"), values)


def test_a_line_of_letters_is_seen_and_a_mark_is_not() -> None:
    letters, mark = np.zeros((2, 128, 256), np.float32)
    for n in range(8):
        letters[40:54, 40 + 14 * n : 43 + 14 * n] = letters[40:43, 40 + 14 * n : 49 + 14 * n] = 1
    mark[40:54, 40:43] = mark[51:54, 40:49] = 1

    assert holds_text(letters)
    assert holds_text(1 - letters)
    assert not holds_text(mark)


@pytest.mark.parametrize(("stated", "flagged"), [(None, True), ("YES", True), ("NO", False)])
def test_a_capture_must_state_that_it_holds_no_text(stated: str | None, flagged: bool) -> None:
    ds = Dataset()
    ds.SOPClassUID, ds.BurnedInAnnotation = "1.2.840.10008.5.1.4.1.1.7", stated

    assert (why_flagged(ds) is not None) is flagged


def test_a_file_nested_too_deeply_costs_only_itself(tmp_path: Path) -> None:
    write_instance(slice_of(), tmp_path / "good.dcm")
    deep = inner = slice_of()
    for _ in range(60):
        item = Dataset()
        inner.SourceImageSequence = Sequence([item])
        inner = item
    write_instance(deep, tmp_path / "deep.dcm")
    source = FolderSource(tmp_path)

    assert source.studies(Choice()) == ["1.2.3.4"]
    assert source.faults == {"sequences are nested deeper than 32": 1}
    assert len(source.read("1.2.3.4").datasets) == 1


@pytest.mark.parametrize(
    ("choice", "taken"),
    [
        (Choice(), True),
        (Choice(uids=frozenset({"1.2"})), True),
        (Choice(uids=frozenset({"1.3"})), False),
        (Choice(since="20240101", until="20241231"), True),
        (Choice(since="20250101"), False),
        (Choice(modalities=frozenset({"CT"})), False),
    ],
)
def test_studies_are_chosen(choice: Choice, taken: bool) -> None:
    assert choice.takes("1.2", "20240229", ["CR", "SR"]) is taken


def test_the_physician_in_an_anonymised_file_is_gone(real_data: Path, tmp_path: Path) -> None:
    """Trap: EUC-KR text without its character set, with a physician's name that somebody forgot."""
    source = read_instance(real_data / "objects" / "gsps_cxr_ai_vendor_redacted.dcm")
    assert source is not None
    write_instance(cleaned(source), tmp_path / "out.dcm")
    found = dcmread(tmp_path / "out.dcm")

    names = [str(element.value) for element in found.iterall() if element.VR == "PN"]
    assert set(names) <= {"", "REMOVED", PSEUDONYMS.subject(PATIENT)}
