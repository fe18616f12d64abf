"""Several views of a chest study: frontal before lateral, each named, each turned by its own rule."""

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import DigitalXRayImageStorageForProcessing

from model.imaging.selection import MOST_VIEWS, SIDE_UNKNOWN, Selection, select_images
from model.imaging.views import radiograph_view
from model.reading import Modality
from model.volume import Orientation, PlanarImage, View


def views(selection: Selection) -> list[tuple[str, View]]:
    return [
        (image.frame.sop_instance_uid, image.view)
        for image in selection.images
        if isinstance(image, PlanarImage)
    ]


def reason_for(ds: Dataset, selection: Selection) -> str:
    return {e.sop_instance_uid: e.reason for e in selection.left_out}[ds.SOPInstanceUID]


def code(value: str, meaning: str) -> Sequence:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", meaning
    return Sequence([item])


@pytest.mark.parametrize(
    ("elements", "view"),
    [
        ({"ViewPosition": "PA"}, View.FRONTAL),
        ({"ViewPosition": "AP"}, View.FRONTAL),
        ({"ViewPosition": "LL"}, View.LATERAL),
        ({"ViewPosition": "RL"}, View.LATERAL),
        ({"ViewPosition": "LATERAL"}, View.LATERAL),
        ({"ViewPosition": "LLO"}, None),
        ({"ViewPosition": "LAO"}, None),
        ({"ViewPosition": "RLD"}, None),
        ({}, View.UNKNOWN),
        ({"PatientOrientation": ["L", "F"]}, View.FRONTAL),
        ({"PatientOrientation": ["A", "F"]}, View.LATERAL),
        ({"PatientOrientation": ["PL", "F"]}, View.LATERAL),
        ({"SeriesDescription": "Thorax seitlich LAT"}, View.LATERAL),
        ({"SeriesDescription": "CHEST PA + LAT"}, View.UNKNOWN),
        ({"SeriesDescription": "CHEST OBLIQUE"}, None),
        # PS3.16 CID 4010
        ({"ViewCodeSequence": code("272479007", "von hinten nach vorn")}, View.FRONTAL),
        ({"ViewCodeSequence": code("399198007", "")}, View.LATERAL),
        ({"ViewCodeSequence": code("399135007", "left anterior oblique")}, None),
        # Seen in a real file: the code of another view beside the right words.
        ({"ViewCodeSequence": code("399173006", "postero-anterior")}, View.FRONTAL),
        ({"ViewPosition": "PA", "PatientOrientation": ["A", "F"]}, None),
        ({"ViewPosition": "LL", "SeriesDescription": "CHEST PA"}, None),
    ],
)
def test_view_is_what_the_header_says_unless_it_contradicts_itself(
    radiograph: Any, elements: dict[str, Any], view: View | None
) -> None:
    assert radiograph_view(radiograph(**{"ViewPosition": None, **elements})) is view


def test_without_every_view_a_lateral_is_left_out(radiograph: Any) -> None:
    frontal, lateral = radiograph(), radiograph(ViewPosition="LL")
    selection = select_images([lateral, frontal])
    assert views(selection) == [(frontal.SOPInstanceUID, View.FRONTAL)]
    assert reason_for(lateral, selection) == "not a frontal view"


def test_every_view_puts_frontal_before_lateral_in_any_order(radiograph: Any) -> None:
    pa, ap = radiograph(InstanceNumber=9), radiograph(ViewPosition="AP", InstanceNumber=3)
    left, silent = radiograph(ViewPosition="LL", InstanceNumber=1), radiograph(ViewPosition=None)
    expected = [
        (pa.SOPInstanceUID, View.FRONTAL),
        (ap.SOPInstanceUID, View.FRONTAL),
        (silent.SOPInstanceUID, View.UNKNOWN),
        (left.SOPInstanceUID, View.LATERAL),
    ]
    assert views(select_images([left, silent, ap, pa], every_view=True)) == expected
    assert views(select_images([pa, ap, silent, left], every_view=True)) == expected


def test_at_most_four_views_are_read_and_the_rest_says_why(radiograph: Any) -> None:
    laterals = [radiograph(ViewPosition="LL", InstanceNumber=n) for n in range(5)]
    selection = select_images([radiograph(), *laterals], every_view=True)
    assert len(selection.images) == MOST_VIEWS == 4
    assert reason_for(laterals[4], selection) == "another image of this study was read"


def test_laterals_alone_are_no_chest_study(radiograph: Any) -> None:
    lateral = radiograph(ViewPosition="LL")
    selection = select_images([lateral], every_view=True)
    assert (selection.modality, selection.reason) == (None, "not a frontal view")


def test_an_exposure_is_not_read_twice_for_being_stored_twice(radiograph: Any) -> None:
    processing = radiograph(SOPClassUID=DigitalXRayImageStorageForProcessing)
    shown = radiograph()
    selection = select_images([processing, shown], every_view=True)
    assert views(selection) == [(shown.SOPInstanceUID, View.FRONTAL)]
    assert reason_for(processing, selection) == "the image for presentation was read"


def test_lateral_hangs_head_up_and_side_is_doubted_of_frontals_only(radiograph: Any) -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(4, 3)
    frontal = radiograph(PatientOrientation=["L", "F"])
    lateral = radiograph(pixels, ViewPosition="LL", PatientOrientation=["F", "A"])
    selection = select_images([frontal, lateral], every_view=True)
    assert selection.caveats == ()
    assert selection.images[1].orientation == Orientation(transposed=True, columns_flipped=True)
    doubted = select_images([radiograph(), lateral], every_view=True)
    assert doubted.caveats == (SIDE_UNKNOWN,)


def test_broken_lateral_costs_the_frontal_nothing(radiograph: Any) -> None:
    frontal, lateral = radiograph(), radiograph(ViewPosition="LL", PixelData=b"\0\0")
    selection = select_images([frontal, lateral], every_view=True)
    assert len(selection.images) == 1
    assert [fault.sop_instance_uid for fault in selection.faulty] == [lateral.SOPInstanceUID]


def test_every_view_changes_nothing_for_a_volume_or_a_photograph(ct_slice: Any, photograph: Any) -> None:
    slices = [ct_slice(z) for z in (0.0, 5.0, 10.0)]
    assert select_images(slices, every_view=True).modality is Modality.CT
    selection = select_images([photograph(), photograph()], every_view=True)
    assert [view for _, view in views(selection)] == [View.UNKNOWN]
