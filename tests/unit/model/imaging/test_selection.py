"""Which instances of a study are read, and the reason for every other one."""

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DigitalXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    VLPhotographicImageStorage,
)

from model.imaging.selection import SIDE_UNKNOWN, Selection, select_images
from model.reading import Modality


def reason_for(ds: Dataset, selection: Selection) -> str:
    reasons = {e.sop_instance_uid: e.reason for e in (*selection.left_out, *selection.faulty)}
    return reasons[ds.SOPInstanceUID]


def read_uids(selection: Selection) -> list[str]:
    return [
        frame.sop_instance_uid
        for image in selection.images
        for frame in (image.frames if hasattr(image, "frames") else (image.frame,))
    ]


def test_frontal_chest_radiograph_is_read(radiograph: Any) -> None:
    ds = radiograph(PatientOrientation=["L", "F"])
    selection = select_images([ds])
    assert (selection.modality, selection.left_out, selection.caveats) == (Modality.CXR, (), ())
    assert read_uids(selection) == [ds.SOPInstanceUID]


@pytest.mark.parametrize(
    "elements",
    [
        {"BodyPartExamined": "PORT CHEST"},
        {"BodyPartExamined": "THORAX", "ViewPosition": None},
        {"BodyPartExamined": None, "SeriesDescription": "Thorax p.a."},
        {"BodyPartExamined": None, "StudyDescription": "XR CHEST 2 VIEWS PA AND LATERAL"},
        {"BodyPartExamined": "CHEST", "SeriesDescription": "CHEST PA + LAT"},
        {"SOPClassUID": SecondaryCaptureImageStorage, "Modality": "CR"},
        {"SOPClassUID": SecondaryCaptureImageStorage, "Modality": "RG", "ViewPosition": ""},
        {"BodyPartExamined": "CHEST", "StudyDescription": "CHEST AND KNEE"},
        {"PatientName": "Phantom^Thora"},
        {"QualityControlImage": "NO"},
        {"SOPClassUID": SecondaryCaptureImageStorage, "Modality": "CR", "ConversionType": "WSD"},
    ],
)
def test_header_that_means_a_frontal_chest_is_read(radiograph: Any, elements: dict[str, Any]) -> None:
    assert select_images([radiograph(**elements)]).modality is Modality.CXR


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({"BodyPartExamined": "EXTREMITY"}, "body part"),
        ({"BodyPartExamined": "KNEE"}, "body part"),
        ({"SeriesDescription": "KNEE AP"}, "series description"),
        ({"BodyPartExamined": None, "StudyDescription": "LEFT HAND"}, "study description"),
        ({"ViewPosition": "LL"}, "not a frontal view"),
        ({"ViewPosition": "LATERAL"}, "not a frontal view"),
        ({"ViewPosition": None, "SeriesDescription": "CHEST LATERAL"}, "frontal"),
        ({"ViewPosition": None, "PatientOrientation": ["A", "F"]}, "frontal"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "LOCALIZER"),
        ({"Modality": "OT", "SOPClassUID": SecondaryCaptureImageStorage}, "secondary capture of modality OT"),
        (
            {"Modality": "CR", "SOPClassUID": SecondaryCaptureImageStorage, "BurnedInAnnotation": "YES"},
            "burned-in",
        ),
        ({"SOPClassUID": SegmentationStorage, "Modality": "SEG"}, "Segmentation Storage is not read"),
        ({"SOPClassUID": "1.2.3.4"}, "unknown SOP class"),
        ({"PatientSpeciesDescription": "Canine"}, "human"),
        ({"AcquisitionDeviceProcessingDescription": "CANINE LATERAL THORAX"}, "human"),
        ({"PixelData": None}, "not an image"),
        ({"PixelData": None, "FloatPixelData": b"\0" * 256}, "floating-point"),
        ({"ViewPosition": "LAO"}, "neither a frontal nor a lateral view"),
        ({"QualityControlImage": "YES"}, "phantom"),
        ({"QualityControlSubject": "YES"}, "phantom"),
        ({"BodyPartExamined": "PHANTOM"}, "phantom"),
        ({"StudyDescription": "Chest phantom, monthly"}, "phantom"),
        ({"SeriesDescription": "QC WEEKLY"}, "quality control"),
        ({"Modality": "CR", "SOPClassUID": SecondaryCaptureImageStorage, "ConversionType": "SD"}, "document"),
        ({"Modality": "CR", "SOPClassUID": SecondaryCaptureImageStorage, "ConversionType": "DRW"}, "drawing"),
    ],
)
def test_header_that_means_something_else_is_left_out(
    radiograph: Any, elements: dict[str, Any], reason: str
) -> None:
    ds = radiograph(**elements)
    selection = select_images([ds])
    assert selection.modality is None
    assert reason in reason_for(ds, selection)
    assert reason in selection.reason


def test_silent_header_is_read_with_caveats(radiograph: Any) -> None:
    selection = select_images([radiograph(BodyPartExamined=None, ViewPosition=None)])
    assert selection.modality is Modality.CXR
    assert selection.caveats == (SIDE_UNKNOWN, "The header does not name the body part.")


@pytest.mark.parametrize("directions", [["L", "R"], ["X", "F"], ["L"], ""])
def test_senseless_patient_orientation_leaves_the_side_unknown(radiograph: Any, directions: Any) -> None:
    assert select_images([radiograph(PatientOrientation=directions)]).caveats == (SIDE_UNKNOWN,)


def test_view_code_names_the_view(radiograph: Any) -> None:
    code = Dataset()
    code.CodeMeaning = "left lateral"
    ds = radiograph(ViewPosition=None, ViewCodeSequence=Sequence([code]))
    assert select_images([ds]).reason == "not a frontal view"


def test_one_frontal_image_is_chosen_and_the_others_say_why(radiograph: Any) -> None:
    processing = radiograph(SOPClassUID=DigitalXRayImageStorageForProcessing)
    ap, pa, lateral = radiograph(ViewPosition="AP"), radiograph(), radiograph(ViewPosition="LL")
    selection = select_images([processing, ap, pa, lateral])
    assert read_uids(selection) == [pa.SOPInstanceUID]
    assert (
        reason_for(ap, selection)
        == reason_for(processing, selection)
        == "another image of this study was read"
    )
    assert reason_for(lateral, selection) == "not a frontal view"


def test_a_bad_instance_is_named_and_its_neighbour_read(radiograph: Any) -> None:
    bad, good = radiograph(PixelData=b"\0\0"), radiograph()
    selection = select_images([bad, good])
    assert read_uids(selection) == [good.SOPInstanceUID]
    assert [e.sop_instance_uid for e in selection.faulty] == [bad.SOPInstanceUID]
    assert "shorter" in selection.faulty[0].reason


def test_instance_without_uid_is_faulty(radiograph: Any) -> None:
    selection = select_images([radiograph(SOPInstanceUID="")])
    assert selection.faulty[0].reason == "no SOP Instance UID"


def test_nothing_is_no_images() -> None:
    assert select_images([]).reason == "no images"


def test_same_instance_twice_counts_once(ct_slice: Any) -> None:
    slices = [ct_slice(z) for z in (0.0, 5.0, 10.0)]
    assert select_images([*slices, slices[0]]).images[0].voxels.shape[0] == 3


def test_ct_volume_is_read_and_its_localizer_left_out(ct_slice: Any) -> None:
    slices = [ct_slice(z) for z in (0.0, 5.0, 10.0)]
    scout = ct_slice(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    selection = select_images([scout, *slices])
    assert selection.modality is Modality.CT
    assert read_uids(selection) == [ds.SOPInstanceUID for ds in slices]
    assert reason_for(scout, selection) == "image type LOCALIZER"


@pytest.mark.parametrize(
    ("elements", "is_read"),
    [
        ({"BodyPartExamined": "HEAD"}, False),
        ({"BodyPartExamined": "CHEST"}, False),
        ({"BodyPartExamined": "PELVIS"}, False),
        ({"BodyPartExamined": "HEAD", "StudyDescription": "CT ABDOMEN"}, False),
        ({"BodyPartExamined": None, "StudyDescription": "CT HEAD W/O"}, False),
        ({"BodyPartExamined": "CHEST", "StudyDescription": "CT CHEST ABDOMEN PELVIS"}, True),
        ({"BodyPartExamined": None, "SeriesDescription": "ABD.PEL 2.5MM"}, True),
        ({"BodyPartExamined": None}, True),
        ({"BodyPartExamined": "PANCREAS"}, True),
    ],
)
def test_ct_is_read_where_nothing_contradicts_the_abdomen(
    ct_slice: Any, elements: dict[str, Any], is_read: bool
) -> None:
    selection = select_images([ct_slice(z, **elements) for z in (0.0, 5.0, 10.0)])
    assert (selection.modality is Modality.CT) is is_read


def test_soft_kernel_is_preferred_and_the_sharp_one_left_out(ct_slice: Any) -> None:
    sharp = [ct_slice(z, SeriesInstanceUID="1.2.4", ConvolutionKernel="B70f") for z in (0.0, 1.0, 2.0, 3.0)]
    soft = [ct_slice(z, ConvolutionKernel="B30f") for z in (0.0, 5.0, 10.0)]
    selection = select_images([*sharp, *soft])
    assert set(read_uids(selection)) == {ds.SOPInstanceUID for ds in soft}
    assert reason_for(sharp[0], selection) == "another series of this study was read"


def test_mixed_orientations_of_one_series_are_split(ct_slice: Any) -> None:
    axial = [ct_slice(z) for z in (0.0, 5.0, 10.0)]
    coronal = [
        ct_slice(ImageOrientationPatient=[1, 0, 0, 0, 0, -1], ImagePositionPatient=[0, y, 0])
        for y in range(5)
    ]
    selection = select_images([*coronal, *axial])
    assert set(read_uids(selection)) == {ds.SOPInstanceUID for ds in axial}


def test_phases_of_one_series_are_split_by_acquisition(ct_slice: Any) -> None:
    native = [ct_slice(z, AcquisitionNumber=1) for z in (0.0, 5.0, 10.0)]
    portal = [ct_slice(z, AcquisitionNumber=2) for z in (0.0, 5.0, 10.0, 15.0)]
    selection = select_images([*native, *portal])
    assert set(read_uids(selection)) == {ds.SOPInstanceUID for ds in portal}


def test_slice_sent_under_two_uids_counts_once(ct_slice: Any) -> None:
    slices = [ct_slice(z) for z in (0.0, 5.0, 10.0, 10.0)]
    selection = select_images(slices)
    assert len(read_uids(selection)) == 3


def test_two_different_slices_at_one_place_are_refused(ct_slice: Any) -> None:
    slices = [ct_slice(z) for z in (0.0, 5.0, 10.0)]
    other = ct_slice(10.0, np.zeros((4, 3), np.uint16))
    assert select_images([*slices, other]).reason == "slice positions are repeated"


def test_gap_is_refused_with_its_reason(ct_slice: Any) -> None:
    selection = select_images([ct_slice(z) for z in (0.0, 5.0, 20.0, 25.0)])
    assert selection.modality is None
    assert "gap" in selection.reason


def test_undecodable_end_slice_costs_only_itself(ct_slice: Any) -> None:
    slices = [ct_slice(z) for z in (0.0, 5.0, 10.0, 15.0)]
    slices[3].PixelData = b"\0"
    selection = select_images(slices)
    assert len(read_uids(selection)) == 3
    assert [e.sop_instance_uid for e in selection.faulty] == [slices[3].SOPInstanceUID]


@pytest.mark.filterwarnings("ignore")
def test_corrupt_codestream_in_a_stack_names_the_instance(ct_slice: Any) -> None:
    from pydicom.uid import JPEGLSLossless

    stored = np.random.default_rng(0).integers(0, 2000, (64, 64), dtype=np.uint16)
    slices = [ct_slice(z, stored) for z in (0.0, 5.0, 10.0, 15.0)]
    for ds in slices:
        ds.compress(JPEGLSLossless, generate_instance_uid=False)
    slices[0].PixelData = slices[0].PixelData[:60] + b"\xff\xd9" * 20
    selection = select_images(slices)
    assert [e.sop_instance_uid for e in selection.faulty] == [slices[0].SOPInstanceUID]
    assert len(read_uids(selection)) == 3


def test_tilt_is_a_caveat(ct_slice: Any) -> None:
    tilted = [1, 0, 0, 0, np.cos(np.radians(10)), np.sin(np.radians(10))]
    selection = select_images([ct_slice(z, ImageOrientationPatient=tilted) for z in (0.0, 5.0, 10.0)])
    assert selection.caveats == ("The slices are tilted by 10.0 degrees.",)


def test_dermoscopic_photograph_is_read(photograph: Any) -> None:
    assert select_images([photograph()]).modality is Modality.DERM


def test_general_photograph_is_read_with_a_caveat(photograph: Any) -> None:
    selection = select_images([photograph(SOPClassUID=VLPhotographicImageStorage, Modality="XC")])
    assert selection.modality is Modality.DERM
    assert selection.caveats == ("The header does not say that this is a skin lesion.",)


def test_mixed_study_is_read_as_its_volume(ct_slice: Any, radiograph: Any) -> None:
    film = radiograph()
    selection = select_images([film, *(ct_slice(z) for z in (0.0, 5.0, 10.0))])
    assert selection.modality is Modality.CT
    assert reason_for(film, selection) == "the study is read as ct"
