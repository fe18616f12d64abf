"""What may become one volume and what may not, and which of several stacks is read, in any order of files."""

from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedCTImageStorage

from model.imaging.selection import Selection, select_images
from model.imaging.slices import slices_of
from model.imaging.stacks import stacks_of
from model.volume import Volume

LEVELS = (0.0, 5.0, 10.0, 15.0)


def read_uids(selection: Selection) -> set[str]:
    (volume,) = selection.images
    assert isinstance(volume, Volume)
    return {frame.sop_instance_uid for frame in volume.frames}


def uids(datasets: list[Dataset]) -> set[str]:
    return {ds.SOPInstanceUID for ds in datasets}


def reasons(selection: Selection) -> dict[str, str]:
    return {e.sop_instance_uid: e.reason for e in selection.left_out}


def test_slices_of_two_frames_of_reference_are_not_stacked(ct_slice: Any) -> None:
    before = [ct_slice(z, FrameOfReferenceUID="1.2.1") for z in LEVELS]
    after = [ct_slice(z, FrameOfReferenceUID="1.2.2") for z in (20.0, 25.0, 30.0)]
    selection = select_images([*after, *before])
    assert read_uids(selection) == uids(before)
    assert reasons(selection)[after[0].SOPInstanceUID] == "another series of this study was read"


def test_series_without_a_frame_of_reference_is_stacked(ct_slice: Any) -> None:
    slices = [ct_slice(z, FrameOfReferenceUID=None) for z in LEVELS]
    assert read_uids(select_images(slices)) == uids(slices)


@pytest.mark.parametrize(
    ("difference", "expected"),
    [
        ({"AcquisitionNumber": 2}, {"AcquisitionNumber": 1}),
        ({"TemporalPositionIdentifier": 2}, {"TemporalPositionIdentifier": 1}),
    ],
)
def test_of_two_equal_phases_the_first_is_read_in_any_order(
    ct_slice: Any, difference: dict[str, int], expected: dict[str, int]
) -> None:
    first = [ct_slice(z, **expected) for z in LEVELS]
    second = [ct_slice(z, np.full((4, 3), 7, np.uint16), **difference) for z in LEVELS]
    for order in ([*first, *second], [*second, *first], [*second[::2], *first, *second[1::2]]):
        assert read_uids(select_images(order)) == uids(first)


def test_choice_among_equal_series_does_not_depend_on_their_order(ct_slice: Any) -> None:
    series = [[ct_slice(z, SeriesInstanceUID=f"1.2.{n}") for z in LEVELS] for n in (7, 5, 6)]
    chosen = [read_uids(select_images([ds for one in order for ds in one])) for order in permutations(series)]
    assert all(one == uids(series[1]) for one in chosen)


def test_changing_tilt_is_no_volume(ct_slice: Any) -> None:
    def tilted(degrees: float) -> list[float]:
        return [1, 0, 0, 0, np.cos(np.radians(degrees)), np.sin(np.radians(degrees))]

    slices = [ct_slice(z, ImageOrientationPatient=tilted(z / 2)) for z in LEVELS]
    assert select_images(slices).reason == "too few slices for a volume: 1"


def test_two_tilts_are_two_stacks(ct_slice: Any) -> None:
    upright = [ct_slice(z) for z in LEVELS]
    plane = [1, 0, 0, 0, np.cos(0.3), np.sin(0.3)]
    tilted = [ct_slice(z, ImageOrientationPatient=plane) for z in (20.0, 25.0, 30.0)]
    assert read_uids(select_images([*tilted, *upright])) == uids(upright)


@pytest.mark.parametrize(
    "elements",
    [{"PixelSpacing": [1.5, 1.5]}, {"ImageOrientationPatient": [0, 1, 0, 0, 0, 1]}],
    ids=["another pixel spacing", "a localizer that does not say so"],
)
def test_stranger_among_slices_costs_only_itself(ct_slice: Any, elements: dict[str, Any]) -> None:
    slices = [ct_slice(z) for z in LEVELS]
    stranger = ct_slice(7.0, **elements)
    selection = select_images([*slices[:2], stranger, *slices[2:]])
    assert read_uids(selection) == uids(slices)
    assert stranger.SOPInstanceUID in reasons(selection)


def test_many_planes_are_sorted_at_once(ct_slice: Any) -> None:
    one = slices_of(ct_slice())[0]
    planes = [[np.cos(a), np.sin(a), 0, -np.sin(a), np.cos(a), 0] for a in np.linspace(0, 0.7, 300)]
    slices = [slices_of(ct_slice(ImageOrientationPatient=plane))[0] for plane in planes]
    assert len(stacks_of([*slices, one])) == 300


def macro(group: Dataset, sequence: str, **elements: Any) -> None:
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    setattr(group, sequence, Sequence([item]))


@pytest.fixture
def enhanced(ct_slice: Any) -> Callable[..., Dataset]:
    """Make one instance of frames: each its level, and macros as keyword: (sequence, elements)."""

    def make(*frames: tuple[float, dict[str, dict[str, Any]]]) -> Dataset:
        stored = np.stack([np.full((4, 3), 1024 + n, np.uint16) for n in range(len(frames))])
        ds = ct_slice(
            0.0, stored[0], ImagePositionPatient=None, ImageOrientationPatient=None, PixelSpacing=None,
            NumberOfFrames=len(frames), PixelData=stored.tobytes(), SOPClassUID=EnhancedCTImageStorage,
        )  # fmt: skip
        shared = Dataset()
        macro(shared, "PlaneOrientationSequence", ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
        macro(shared, "PixelMeasuresSequence", PixelSpacing=[2.0, 1.0])
        ds.SharedFunctionalGroupsSequence = Sequence([shared])
        groups: list[Dataset] = []
        for level, macros in frames:
            group = Dataset()
            macro(group, "PlanePositionSequence", ImagePositionPatient=[-10, -20, level])
            for sequence, elements in macros.items():
                macro(group, sequence, **elements)
            groups.append(group)
        ds.PerFrameFunctionalGroupsSequence = Sequence(groups)
        return ds

    return make


def frame_numbers(selection: Selection) -> list[int]:
    (volume,) = selection.images
    assert isinstance(volume, Volume)
    return [frame.frame_number for frame in volume.frames]


def test_stacks_of_one_enhanced_instance_are_split(enhanced: Callable[..., Dataset]) -> None:
    def of(stack: str) -> dict[str, dict[str, Any]]:
        return {"FrameContentSequence": {"StackID": stack}}

    lower, upper = [(z, of("1")) for z in (0.0, 5.0, 10.0)], [(z, of("2")) for z in (40.0, 45.0, 50.0, 55.0)]
    assert frame_numbers(select_images([enhanced(*lower, *upper)])) == [4, 5, 6, 7]


def test_temporal_positions_of_one_enhanced_instance_are_split(enhanced: Callable[..., Dataset]) -> None:
    frames = [
        (z, {"FrameContentSequence": {"TemporalPositionIndex": time}})
        for z in (10.0, 0.0, 5.0)
        for time in (2, 1)
    ]
    assert frame_numbers(select_images([enhanced(*frames)])) == [4, 6, 2]


def test_localizer_frame_of_an_enhanced_instance_is_passed_over(enhanced: Callable[..., Dataset]) -> None:
    def of(value: str) -> dict[str, dict[str, Any]]:
        return {"CTImageFrameTypeSequence": {"FrameType": ["ORIGINAL", "PRIMARY", value, "NONE"]}}

    frames = [(2.5, of("LOCALIZER")), *((z, of("VOLUME")) for z in (0.0, 5.0, 10.0))]
    assert frame_numbers(select_images([enhanced(*frames)])) == [2, 3, 4]
    alone = select_images([enhanced((0.0, of("LOCALIZER")), (5.0, of("LOCALIZER")))])
    assert alone.reason == "frame type LOCALIZER"


def test_two_enhanced_instances_at_one_place_are_two_stacks(enhanced: Callable[..., Dataset]) -> None:
    one, other = (enhanced(*((z, {}) for z in LEVELS)) for _ in range(2))
    first = min(one.SOPInstanceUID, other.SOPInstanceUID)
    assert read_uids(select_images([one, other])) == read_uids(select_images([other, one])) == {first}


def test_two_kernels_of_one_series_are_two_stacks(ct_slice: Any) -> None:
    sharp = [ct_slice(z, np.ones((4, 3), np.uint16), ConvolutionKernel="B70f") for z in LEVELS]
    soft = [ct_slice(z, ConvolutionKernel="B30f") for z in LEVELS]
    assert read_uids(select_images([*sharp, *soft])) == uids(soft)


def test_anatomy_and_kernel_of_an_enhanced_instance_are_read_from_its_groups(
    enhanced: Callable[..., Dataset],
) -> None:
    kernel = {"CTReconstructionSequence": {"ConvolutionKernel": "B70f"}}
    sharp = enhanced(*((z, kernel) for z in (0.0, 1.0, 2.0, 3.0)))
    soft = enhanced(*((z, {}) for z in (0.0, 5.0, 10.0)))
    assert read_uids(select_images([sharp, soft])) == {soft.SOPInstanceUID}
    del soft.BodyPartExamined
    region, anatomy = Dataset(), Dataset()
    region.CodeMeaning = "Head"
    anatomy.AnatomicRegionSequence = Sequence([region])
    soft.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = Sequence([anatomy])
    assert select_images([soft]).reason == "not of the abdomen by its body part"


def test_frames_of_a_concatenation_are_one_stack(enhanced: Callable[..., Dataset]) -> None:
    parts = [enhanced((0.0, {}), (10.0, {})), enhanced((5.0, {}), (15.0, {}))]
    (volume,) = select_images(parts).images
    assert isinstance(volume, Volume)
    found = [(frame.sop_instance_uid, frame.frame_number) for frame in volume.frames]
    first, second = (part.SOPInstanceUID for part in parts)
    assert found == [(first, 1), (second, 1), (first, 2), (second, 2)]


def test_classic_multi_frame_without_positions_is_refused(ct_slice: Any) -> None:
    stored = np.zeros((3, 4, 3), np.uint16)
    ds = ct_slice(0.0, stored[0], NumberOfFrames=3, PixelData=stored.tobytes())
    assert select_images([ds]).reason == "a multi-frame instance without per-frame positions"
