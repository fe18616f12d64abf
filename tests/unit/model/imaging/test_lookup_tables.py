"""Look-up tables against PS3.3 C.11.1.1.1 and C.7.6.3.1.5, in every way in which writers pack them."""

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian

from model.errors import PixelError
from model.imaging.lookup_tables import lookup_table
from model.imaging.pixels import planar_image_from_dataset


def table(descriptor: list[int], data: Any, vr: str = "US", *, big_endian: bool = False) -> Any:
    ds = Dataset()
    ds.add_new("LUTDescriptor", "SS" if min(descriptor) < 0 else "US", descriptor)
    ds.add_new("LUTData", vr, data)
    return lookup_table(ds, "LUT", big_endian=big_endian)


def looked_up(found: Any, *values: int) -> list[float]:
    return found.look_up(np.array(values)).tolist()


def test_values_outside_map_to_the_ends() -> None:
    assert looked_up(table([3, 10, 16], [5, 6, 9]), 0, 10, 11, 12, 99) == [5, 5, 6, 9, 9]


@pytest.mark.parametrize(
    ("data", "vr"),
    [
        (np.array([1, 2, 3, 4], np.uint8).tobytes(), "OW"),
        (np.array([1, 2, 3, 4], "<u2").tobytes(), "OW"),
        ([1, 2, 3, 4], "US"),
        ([0x0201, 0x0403], "US"),
    ],
)
def test_eight_bit_entries_may_take_a_byte_or_a_word(data: Any, vr: str) -> None:
    assert looked_up(table([4, 0, 8], data, vr), 0, 1, 2, 3) == [1, 2, 3, 4]


def test_odd_number_of_bytes_is_padded() -> None:
    assert looked_up(table([3, 0, 8], bytes([1, 2, 3, 0]), "OW"), 2, 3) == [3, 3]


def test_words_of_a_big_endian_object_are_big_endian() -> None:
    data = np.array([1, 256], ">u2").tobytes()
    assert looked_up(table([2, 0, 16], data, "OW", big_endian=True), 0, 1) == [1, 256]


def test_zero_entries_are_65536() -> None:
    found = table([0, 0, 16], np.arange(2**16, dtype="<u2").tobytes(), "OW")
    assert looked_up(found, 0, 65535) == [0, 65535]


@pytest.mark.filterwarnings("ignore")
def test_long_table_described_in_signed_numbers() -> None:
    # 40000 entries in a descriptor of VR SS read as 40000 - 65536.
    found = table([40000 - 65536, -5, 16], np.arange(40000, dtype="<u2").tobytes(), "OW")
    assert looked_up(found, -5, 39994) == [0, 39999]


def test_negative_first_value_written_unsigned() -> None:
    # 65531 is -5 in 16 bits; no value of the frame reaches 65531, so it was not meant.
    found = table([10, 65531, 16], list(range(10)))
    assert looked_up(found, -5, 0, 4) == [0, 5, 9]
    assert looked_up(found, 0, 4) == [5, 9]


def test_large_first_value_written_signed() -> None:
    found = table([10, -5, 16], list(range(10)))
    assert looked_up(found, 65531, 65535) == [0, 4]


@pytest.mark.parametrize("descriptor", [[2, 0, 0], [2, 0, 7], [2, 0, 17]])
def test_senseless_number_of_bits_is_refused(descriptor: list[int]) -> None:
    with pytest.raises(PixelError, match="bits per entry"):
        table(descriptor, [1, 2])


@pytest.mark.parametrize("data", [[1], b"\0\0\0", None])
def test_too_few_entries_are_refused(data: Any) -> None:
    with pytest.raises(PixelError, match="shorter"):
        table([4, 0, 16], data, "OW" if isinstance(data, bytes) else "US")


def palette(
    photograph: Any, descriptor: list[int], channels: tuple[Any, Any, Any], **elements: Any
) -> Dataset:
    stored = np.array([[0, 1]], np.uint8)
    ds = photograph(stored, PhotometricInterpretation="PALETTE COLOR", **elements)
    for colour, data in zip(("Red", "Green", "Blue"), channels, strict=True):
        setattr(ds, f"{colour}PaletteColorLookupTableDescriptor", descriptor)
        setattr(ds, f"{colour}PaletteColorLookupTableData", data)
    return ds


def shown(ds: Dataset) -> list[list[float]]:
    return planar_image_from_dataset(ds).pixels[0].tolist()


def test_palette_of_eight_bits(photograph: Any) -> None:
    channels = bytes([0, 255]), bytes([255, 0]), bytes([51, 51])
    ds = palette(photograph, [2, 0, 8], channels)
    np.testing.assert_allclose(shown(ds), [[0, 1, 0.2], [1, 0, 0.2]], atol=1e-6)


def test_palette_of_eight_bits_stored_in_words(photograph: Any) -> None:
    words = [np.array(ramp, "<u2").tobytes() for ramp in ((0, 255), (255, 0), (51, 51))]
    ds = palette(photograph, [2, 0, 8], (words[0], words[1], words[2]))
    np.testing.assert_allclose(shown(ds), [[0, 1, 0.2], [1, 0, 0.2]], atol=1e-6)


def test_palette_of_sixteen_bits_in_a_big_endian_object(photograph: Any) -> None:
    words = [np.array(ramp, ">u2").tobytes() for ramp in ((0, 65535), (65535, 0), (13107, 13107))]
    ds = palette(photograph, [2, 0, 16], (words[0], words[1], words[2]))
    ds.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    # Bytes of OW are swapped pairwise in a big-endian object (PS3.5 8.1.1): 0, 1 is stored 1, 0.
    ds.PixelData = bytes([1, 0])
    ds["PixelData"].VR = "OW"
    np.testing.assert_allclose(shown(ds), [[0, 1, 0.2], [1, 0, 0.2]], atol=1e-6)


def test_segmented_palette(photograph: Any) -> None:
    # PS3.3 C.7.9.2: a discrete segment of one entry, then a linear one of 255 entries up to its end.
    def ramp(start: int, end: int) -> bytes:
        return np.array([0, 1, start, 1, 255, end], "<u2").tobytes()

    stored = np.array([[0, 255, 51]], np.uint8)
    ds = photograph(stored, PhotometricInterpretation="PALETTE COLOR")
    for colour, (start, end) in {"Red": (0, 65535), "Green": (65535, 0), "Blue": (0, 0)}.items():
        setattr(ds, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(ds, f"Segmented{colour}PaletteColorLookupTableData", ramp(start, end))
    np.testing.assert_allclose(shown(ds), [[0, 1, 0], [1, 0, 0], [0.2, 0.8, 0]], atol=1e-4)


@pytest.mark.parametrize(
    "missing", ["GreenPaletteColorLookupTableData", "RedPaletteColorLookupTableDescriptor"]
)
def test_palette_with_a_table_missing_is_refused(photograph: Any, missing: str) -> None:
    ds = palette(photograph, [2, 0, 8], (bytes(2), bytes(2), bytes(2)))
    delattr(ds, missing)
    with pytest.raises(PixelError, match="LUT"):
        planar_image_from_dataset(ds)
