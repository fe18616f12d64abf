"""What each kind of destination gets."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
import pytest
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from model.reading import Laterality
from structured_reports.errors import SourceError
from structured_reports.profiles import PROFILES, Profile
from structured_reports.registry import DRAWN, WRITERS, write_bundles, write_results
from structured_reports.writers.secondary_capture import MOST_PICTURES
from tests.unit.structured_reports.readings import (
    RUN,
    chest_reading,
    ct_reading,
    ct_slices,
    header,
    only,
    sources,
)


def with_pixels(ds: Dataset) -> Dataset:
    """Give a header pixels: bright on the image's left, so that sides can be told."""
    pixels = np.full((int(ds.Rows), int(ds.Columns)), 400, dtype="<u2")
    pixels[:, : int(ds.Columns) // 4] = 3600
    ds.PixelData = pixels.tobytes()
    ds["PixelData"].VR = "OW"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def bytes_of(results: Sequence[Dataset]) -> list[bytes]:
    written: list[bytes] = []
    for ds in results:
        buffer = BytesIO()
        dcmwrite(buffer, ds, enforce_file_format=True)
        written.append(buffer.getvalue())
    return written


@pytest.mark.parametrize(
    ("profile", "modalities", "report_class"),
    [
        (Profile.AIR, ["SEG", "PR", "SR"], "1.2.840.10008.5.1.4.1.1.88.34"),
        (Profile.FULL, ["SEG", "PR", "KO", "SR", "SR"], "1.2.840.10008.5.1.4.1.1.88.34"),
        # Heart and lung overlap: they cannot share a label map.
        (Profile.LABEL_MAP, ["SEG", "SEG", "SEG", "PR", "SR"], "1.2.840.10008.5.1.4.1.1.88.34"),
        (Profile.OHIF, ["SEG", "SR"], "1.2.840.10008.5.1.4.1.1.88.34"),
        (Profile.OHIF_EDIT, ["SEG", "SR"], "1.2.840.10008.5.1.4.1.1.88.34"),
        (Profile.STONE, ["SEG", "SR"], "1.2.840.10008.5.1.4.1.1.88.33"),
        (Profile.LEGACY_GSPS, ["PR", "KO", "SR"], "1.2.840.10008.5.1.4.1.1.88.22"),
        (Profile.LEGACY_SC, ["SR", "OT"], "1.2.840.10008.5.1.4.1.1.88.22"),
    ],
)
def test_a_profile_has_its_objects(profile: Profile, modalities: list[str], report_class: str):
    ds = with_pixels(header())
    written = write_results(chest_reading(ds), sources(ds), RUN, profile)
    assert [result.Modality for result in written] == modalities
    assert [result.SOPClassUID for result in written if result.Modality == "SR"][-1] == report_class


def test_every_profile_is_made_of_writers_that_exist():
    assert {name for outputs in PROFILES.values() for name in outputs.writers} <= {
        *WRITERS,
        *DRAWN,
    }
    assert set(PROFILES) == set(Profile)


@pytest.mark.parametrize(
    "profile", [Profile.AIR, Profile.OHIF, Profile.OHIF_EDIT, Profile.STONE, Profile.FULL]
)
def test_a_report_names_what_its_own_profile_sends_and_nothing_else(profile: Profile):
    ds = header()
    *others, report = write_results(chest_reading(ds), sources(ds), RUN, profile)
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    listed = {
        reference.ReferencedSOPInstanceUID
        for series in study.ReferencedSeriesSequence
        for reference in series.ReferencedSOPSequence
    }
    assert listed == {ds.SOPInstanceUID, *(other.SOPInstanceUID for other in others)}


def test_what_profiles_share_is_one_object_and_reports_differ_in_series():
    ds = header()
    bundles = write_bundles(chest_reading(ds), sources(ds), RUN, [Profile.AIR, Profile.FULL, Profile.STONE])
    assert len({only(bundle, "SEG").SOPInstanceUID for bundle in bundles.values()}) == 1
    reports = [bundle[-1] for bundle in bundles.values()]
    assert len({report.SeriesInstanceUID for report in reports}) == 3
    assert len({report.SOPInstanceUID for report in reports}) == 3


def test_ohif_shares_the_segmentation_of_a_stack_and_has_its_own_of_a_radiograph():
    """A stack has a plane in the patient; for a radiograph OHIF must be told one."""
    slices, ds = ct_slices(), header()
    profiles = [Profile.AIR, Profile.OHIF, Profile.OHIF_EDIT]
    for reading, given, kinds in (
        (ct_reading(slices), sources(*slices), 1),
        (chest_reading(ds), sources(ds), 2),
    ):
        bundles = write_bundles(reading, given, RUN, profiles)
        masks = [only(bundle, "SEG") for bundle in bundles.values()]
        assert len({mask.SOPInstanceUID for mask in masks}) == kinds
        assert masks[1].SOPInstanceUID == masks[2].SOPInstanceUID


def test_what_is_in_company_has_the_same_bytes_as_alone():
    ds = header()
    together = write_bundles(
        chest_reading(ds),
        sources(ds),
        RUN,
        [p for p in Profile if p not in (Profile.LEGACY_SC, Profile.LEGACY_PDF)],
    )
    for profile, bundle in together.items():
        assert bytes_of(bundle) == bytes_of(write_results(chest_reading(ds), sources(ds), RUN, profile))


def test_a_picture_says_that_it_is_burned_in_and_from_which_image():
    ds = with_pixels(header())
    (picture,) = [r for r in write_results(chest_reading(ds), sources(ds), RUN, Profile.LEGACY_SC)
                  if r.Modality == "OT"]  # fmt: skip
    assert (picture.BurnedInAnnotation, picture.ConversionType) == ("YES", "WSD")
    assert list(picture.ImageType)[:2] == ["DERIVED", "SECONDARY"]
    assert picture.SourceImageSequence[0].ReferencedSOPInstanceUID == ds.SOPInstanceUID
    assert picture.SeriesNumber == 9401
    shown = picture.pixel_array
    assert shown.shape == (picture.Rows, picture.Columns, 3)
    # The image's own left quarter is bright: it must not be mirrored.
    middle = shown[100:-100]
    assert middle[:, 60:120].mean() > middle[:, 400:500].mean() + 50


def test_a_picture_shows_what_the_profile_itself_does_not_send():
    ds = with_pixels(header())
    reading = chest_reading(ds)
    plain = write_results(
        chest_reading(ds, findings=(), boxes=(), masks=(), narrative=None),
        sources(ds),
        RUN,
        Profile.LEGACY_SC,
    )
    full = write_results(reading, sources(ds), RUN, Profile.LEGACY_SC)
    first, second = (next(r for r in each if r.Modality == "OT").pixel_array for each in (plain, full))
    assert first.shape == second.shape
    assert (np.abs(first.astype(int) - second) > 60).any(axis=-1).mean() > 0.01
    assert reading.findings[0].laterality is Laterality.RIGHT


def test_a_series_of_pictures_stays_short():
    slices = [with_pixels(ds) for ds in ct_slices()]
    written = write_results(ct_reading(slices), sources(*slices), RUN, Profile.LEGACY_SC)
    assert 1 <= sum(result.Modality == "OT" for result in written) <= MOST_PICTURES


def test_pictures_of_headers_alone_are_refused():
    ds = header()
    with pytest.raises(SourceError, match="cannot be drawn"):
        write_results(chest_reading(ds), sources(ds), RUN, Profile.LEGACY_SC)
