"""Grey values against the formulas of PS3.3 C.11.1, C.11.2 and C.7.6.3, worked out by hand."""

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from model.errors import PixelError
from model.imaging.decoding import stored_frames
from model.imaging.grayscale import display_values, modality_values, window
from model.imaging.pixels import planar_image_from_dataset


def shown(ds: Dataset) -> np.ndarray[Any, Any]:
    return planar_image_from_dataset(ds).pixels


def row(*values: int, dtype: Any = np.uint16) -> np.ndarray[Any, Any]:
    return np.array([values], dtype=dtype)


@pytest.mark.parametrize(
    ("function", "value", "expected"),
    [
        # C.11.2.1.2.1: c = 50, w = 100: black up to 0, white from 99, between ((x - 49.5) / 99 + 0.5)
        ("LINEAR", 0, 0.0),
        ("LINEAR", 50, 0.5 + 0.5 / 99),
        ("LINEAR", 99, 1.0),
        ("LINEAR", 150, 1.0),
        # C.11.2.1.3.2: black up to 0, white from 100
        ("LINEAR_EXACT", 25, 0.25),
        ("LINEAR_EXACT", 50, 0.5),
        ("LINEAR_EXACT", 100, 1.0),
        # C.11.2.1.3.1: 1 / (1 + exp(-4 (x - c) / w))
        ("SIGMOID", 50, 0.5),
        ("SIGMOID", 75, 1 / (1 + np.exp(-1.0))),
    ],
)
def test_window_follows_its_function(function: str, value: float, expected: float) -> None:
    assert window(np.array([value], float), 50, 100, function)[0] == pytest.approx(expected, abs=1e-6)


def test_linear_window_of_width_one_is_a_step() -> None:
    assert window(np.array([49.0, 49.5, 50.0]), 50, 1).tolist() == [0, 0, 1]


def test_extreme_sigmoid_does_not_overflow() -> None:
    assert window(np.array([-1e9, 1e9]), 0, 1, "SIGMOID").tolist() == [0, 1]


def test_first_of_several_windows_is_used(radiograph: Any) -> None:
    ds = radiograph(row(0, 50, 100), WindowCenter=[50, 5000], WindowWidth=[101, 9000])
    # c = 50, w = 101: ((x - 49.5) / 100 + 0.5)
    np.testing.assert_allclose(shown(ds), [[0.005, 0.505, 1.0]], atol=1e-6)


def test_rescale_comes_before_the_window(radiograph: Any) -> None:
    ds = radiograph(
        row(0, 100), RescaleSlope=2, RescaleIntercept=-100, WindowCenter=0, WindowWidth=200,
        VOILUTFunction="LINEAR_EXACT",
    )  # fmt: skip
    np.testing.assert_allclose(shown(ds), [[0.0, 1.0]], atol=1e-6)


def test_D14_negative_slope_inverts(radiograph: Any) -> None:
    ds = radiograph(row(3, 7), RescaleSlope=-2, RescaleIntercept=10)
    np.testing.assert_array_equal(modality_values(ds, row(3, 7)), [[4, -4]])


def test_D14_zero_slope_is_refused(radiograph: Any) -> None:
    with pytest.raises(PixelError, match="Slope"):
        shown(radiograph(row(1, 2), RescaleSlope=0, RescaleIntercept=0))


def test_D13_monochrome1_inverse_and_monochrome2_show_the_same(radiograph: Any) -> None:
    stored = row(0, 10, 40, 63, dtype=np.uint8)
    element = {"WindowCenter": 31.5, "WindowWidth": 63, "VOILUTFunction": "LINEAR_EXACT"}
    plain = shown(radiograph(stored, **element))
    negative = 63 - stored
    only_tag = shown(radiograph(negative, PhotometricInterpretation="MONOCHROME1", **element))
    both_tags = shown(
        radiograph(
            negative, PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE", **element
        )
    )
    only_shape = shown(radiograph(negative, PresentationLUTShape="INVERSE", **element))
    for other in (only_tag, both_tags, only_shape):
        np.testing.assert_allclose(other, plain, atol=1e-6)


def lut(first: int, bits: int, data: Any, vr: str = "US") -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [4, first, bits])
    item.add_new("LUTData", vr, data)
    return item


def test_voi_lut_goes_before_the_window(radiograph: Any) -> None:
    ds = radiograph(
        row(9, 10, 11, 13, 20), VOILUTSequence=[lut(10, 8, [0, 85, 170, 255])], WindowCenter=0, WindowWidth=1
    )
    np.testing.assert_allclose(shown(ds), [[0, 0, 1 / 3, 1, 1]], atol=1e-6)


def test_voi_lut_with_negative_first_value_and_words_as_bytes(radiograph: Any) -> None:
    words = np.array([0, 1023, 2046, 4095], "<u2").tobytes()
    ds = radiograph(row(-3, -2, -1, 5, dtype=np.int16), VOILUTSequence=[lut(-2, 12, words, "OW")])
    np.testing.assert_allclose(shown(ds), [[0, 0, 1023 / 4095, 1]], atol=1e-6)


def test_modality_lut_is_applied(radiograph: Any) -> None:
    ds = radiograph(row(0, 1, 2, 3), ModalityLUTSequence=[lut(0, 16, [5, 50, 500, 5000])])
    assert modality_values(ds, row(0, 1, 2, 9)).tolist() == [[5, 50, 500, 5000]]


def test_short_lut_is_refused(radiograph: Any) -> None:
    with pytest.raises(PixelError, match="LUT Data"):
        shown(radiograph(row(0, 1), VOILUTSequence=[lut(0, 8, [1])]))


def test_without_window_one_hot_pixel_does_not_darken_the_picture(radiograph: Any) -> None:
    stored = np.tile(np.arange(100, dtype=np.uint16), (100, 1))
    stored[0, 0] = 65535
    picture = shown(radiograph(stored))
    assert picture[50, 50] == pytest.approx(0.5, abs=0.02)


def test_window_far_from_the_values_is_not_believed(radiograph: Any) -> None:
    stored = np.tile(np.arange(100, dtype=np.uint16), (100, 1))
    picture = shown(radiograph(stored, WindowCenter=50000, WindowWidth=10))
    assert picture[50, 50] == pytest.approx(0.5, abs=0.02)


def test_constant_picture_is_black_not_undefined(radiograph: Any) -> None:
    assert shown(radiograph(np.full((4, 4), 7, np.uint16))).tolist() == np.zeros((4, 4)).tolist()


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_does_not_move_the_window(radiograph: Any, photometric: str) -> None:
    stored = np.tile(np.arange(100, 200, dtype=np.int16), (50, 1))
    padded = np.hstack([stored, np.full((50, 40), -2000, np.int16), np.full((50, 10), -1999, np.int16)])
    element = {"PhotometricInterpretation": photometric}
    expected = shown(radiograph(stored, **element))
    picture = shown(radiograph(padded, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-1999, **element))
    np.testing.assert_allclose(picture[:, :100], expected, atol=1e-6)
    assert not picture[:, 100:].any()


def test_padding_value_written_unsigned_for_signed_pixels(radiograph: Any) -> None:
    ds = radiograph(row(-2000, 5, 6, dtype=np.int16))
    ds.add_new("PixelPaddingValue", "US", 63536)
    assert shown(ds)[0, 0] == 0


def test_D14_bits_above_high_bit_are_masked(radiograph: Any) -> None:
    overlay = np.uint16(0xF000)
    ds = radiograph(row(5 | overlay, 4095, 7), BitsStored=12, HighBit=11)
    assert next(stored_frames(ds)).tolist() == [[5, 4095, 7]]


def test_D14_signed_twelve_bits_are_extended(radiograph: Any) -> None:
    ds = radiograph(row(0x0FFF, 0x0800, 0x07FF), BitsStored=12, HighBit=11, PixelRepresentation=1)
    assert next(stored_frames(ds)).tolist() == [[-1, -2048, 2047]]


def test_bits_below_a_high_high_bit_are_dropped(radiograph: Any) -> None:
    ds = radiograph(row(0x123F), BitsStored=12, HighBit=15)
    assert next(stored_frames(ds)).tolist() == [[0x123]]


def test_planar_configurations_decode_alike(photograph: Any) -> None:
    by_pixel = photograph()
    stored = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    by_plane = photograph(
        PlanarConfiguration=1, PixelData=np.ascontiguousarray(stored.transpose(2, 0, 1)).tobytes()
    )
    np.testing.assert_array_equal(shown(by_pixel), shown(by_plane))
    assert shown(by_pixel)[7, 7, 2] == pytest.approx(191 / 255)


def test_ybr_becomes_rgb(photograph: Any) -> None:
    # PS3.3 C.7.6.3.1.2: R = Y + 1.402 (Cr - 128) and so on: pure red is Y 76, Cb 85, Cr 255.
    stored = np.full((2, 2, 3), (76, 85, 255), np.uint8)
    picture = shown(photograph(stored, PhotometricInterpretation="YBR_FULL"))
    np.testing.assert_allclose(picture[0, 0] * 255, (254, 0, 0), atol=1)


def test_palette_colour(photograph: Any) -> None:
    ds = photograph(row(0, 1, dtype=np.uint8), PhotometricInterpretation="PALETTE COLOR")
    for colour, ramp in (("Red", (0, 65535)), ("Green", (65535, 0)), ("Blue", (0, 0))):
        setattr(ds, f"{colour}PaletteColorLookupTableDescriptor", [2, 0, 16])
        setattr(ds, f"{colour}PaletteColorLookupTableData", np.array(ramp, "<u2").tobytes())
    np.testing.assert_allclose(shown(ds), [[[0, 1, 0], [1, 0, 0]]], atol=1e-6)


def test_grey_stored_as_equal_colours_becomes_grey(photograph: Any) -> None:
    assert shown(photograph(np.full((4, 4, 3), 9, np.uint8))).shape == (4, 4)


def test_unknown_photometric_interpretation_is_refused(radiograph: Any) -> None:
    ds = radiograph(PhotometricInterpretation="ARGB")
    with pytest.raises(PixelError, match="photometric"):
        display_values(ds, row(1, 2))


@pytest.mark.parametrize("seed", range(5))
def test_percentiles_are_those_of_all_pixels(radiograph: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    stored = rng.integers(0, [300, 4000, 65536, 50, 7][seed], (41, 37), dtype=np.uint16)
    ds = radiograph(stored, RescaleSlope=-0.5, RescaleIntercept=9)
    values = stored * -0.5 + 9
    low, high = np.percentile(values, (0.5, 99.5))
    np.testing.assert_allclose(shown(ds), np.clip((values - low) / (high - low), 0, 1), atol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_thirty_two_bits_are_read_as_they_are(radiograph: Any) -> None:
    ds = radiograph(
        row(0, 2**31, 2**32 - 1, dtype=np.uint32), WindowCenter=2**31, WindowWidth=2**32,
        VOILUTFunction="LINEAR_EXACT",
    )  # fmt: skip
    np.testing.assert_allclose(shown(ds), [[0, 0.5, 1]], atol=1e-6)


def frame_group(**macros: dict[str, Any]) -> Dataset:
    group = Dataset()
    for sequence, elements in macros.items():
        item = Dataset()
        for keyword, value in elements.items():
            setattr(item, keyword, value)
        setattr(group, sequence, Sequence([item]))
    return group


def test_each_frame_has_its_own_rescale_window_and_spacing(radiograph: Any) -> None:
    stored = np.array([[[0, 50, 100]], [[0, 50, 100]]], np.uint8)
    ds = radiograph(stored[0], NumberOfFrames=2, PixelData=stored.tobytes(), WindowCenter=9, WindowWidth=9)
    exact = {"VOILUTFunction": "LINEAR_EXACT"}
    ds.SharedFunctionalGroupsSequence = Sequence(
        [frame_group(PixelMeasuresSequence={"PixelSpacing": [0.2, 0.1]})]
    )
    ds.PerFrameFunctionalGroupsSequence = Sequence(
        [
            frame_group(FrameVOILUTSequence={"WindowCenter": 50, "WindowWidth": 100, **exact}),
            frame_group(
                FrameVOILUTSequence={"WindowCenter": 100, "WindowWidth": 400, **exact},
                PixelValueTransformationSequence={"RescaleSlope": 2, "RescaleIntercept": 0},
            ),
        ]
    )
    first, second = (planar_image_from_dataset(ds, number) for number in (1, 2))
    np.testing.assert_allclose(first.pixels, [[0, 0.5, 1]], atol=1e-6)
    # 0, 100, 200 in a window from -100 to 300
    np.testing.assert_allclose(second.pixels, [[0.25, 0.5, 0.75]], atol=1e-6)
    assert first.spacing_mm == second.spacing_mm == (0.2, 0.1)


def test_groups_fewer_than_frames_leave_the_instance_s_own_elements(radiograph: Any) -> None:
    stored = np.array([[[0, 100]], [[0, 100]]], np.uint8)
    ds = radiograph(
        stored[0], NumberOfFrames=2, PixelData=stored.tobytes(), WindowCenter=50, WindowWidth=100,
        VOILUTFunction="LINEAR_EXACT",
    )  # fmt: skip
    window = {"WindowCenter": 100, "WindowWidth": 200, "VOILUTFunction": "LINEAR_EXACT"}
    ds.PerFrameFunctionalGroupsSequence = Sequence([frame_group(FrameVOILUTSequence=window)])
    assert planar_image_from_dataset(ds, 1).pixels.tolist() == [[0, 0.5]]
    assert planar_image_from_dataset(ds, 2).pixels.tolist() == [[0, 1]]


@pytest.mark.parametrize("overlay", [0x6000, 0x6002])
def test_overlays_of_their_own_are_ignored(radiograph: Any, overlay: int) -> None:
    stored = np.tile(np.arange(64, dtype=np.uint8), (64, 1))
    ds, plain = radiograph(stored), radiograph(stored)
    for element, vr, value in (
        (0x10, "US", 64), (0x11, "US", 64), (0x40, "CS", "G"), (0x50, "SS", [1, 1]),
        (0x100, "US", 1), (0x102, "US", 0), (0x3000, "OW", b"\xff" * 512),
    ):  # fmt: skip
        ds.add_new((overlay, element), vr, value)
    np.testing.assert_array_equal(shown(ds), shown(plain))


def test_D13_voi_lut_of_a_monochrome1_picture_is_inverted_after_it(radiograph: Any) -> None:
    ds = radiograph(
        row(10, 11, 13),
        PhotometricInterpretation="MONOCHROME1",
        VOILUTSequence=[lut(10, 8, [0, 51, 102, 255])],
    )
    np.testing.assert_allclose(shown(ds), [[1, 0.8, 0]], atol=1e-6)
