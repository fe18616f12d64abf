"""WADO-RS: instances, headers, values, frames and pictures, as accepted or not at all (PS3.18 10.4)."""

from email.parser import BytesParser
from io import BytesIO
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.encaps import get_frame
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
)

from dicom_node.intake import Intake
from dicom_node.storage import InstanceStore
from tests.builders import data_set_bytes
from tests.in_process_web import RunningServer
from tests.unit.dicom_node.arrivals import Sender, dataset, encoded

STUDY = "1.2.3.100"
INSTANCE = f"/studies/{STUDY}/series/{STUDY}.1/instances/1.2.9"
ANY = 'multipart/related; type="application/dicom"; transfer-syntax=*'
PIXELS = np.arange(3 * 4 * 5, dtype="<u2").reshape(3, 4, 5)
"""Three frames of 4 rows and 5 columns."""


def image(**elements: object) -> Dataset:
    values = {
        "SOPInstanceUID": "1.2.9",
        "Rows": 4,
        "Columns": 5,
        "NumberOfFrames": 3,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 0,
        "PixelData": PIXELS.tobytes(),
    }
    return dataset(**(values | elements))


def keep(server: RunningServer, ds: Dataset, transfer_syntax_uid: str = ExplicitVRLittleEndian) -> None:
    store = InstanceStore(server.data_dir, server.database)
    sender = Sender(Intake(store, server.database))
    assert sender.send(ds, transfer_syntax_uid=transfer_syntax_uid).reason is None
    store.spool.close()


def compressed() -> Dataset:
    """The image in RLE, by pydicom's own encoder."""
    ds = image()
    ds.compress(RLELossless, PIXELS, generate_instance_uid=False)
    del ds.file_meta
    return ds


def get(server: RunningServer, path: str, accept: str = "*/*", **parameters: Any) -> httpx.Response:
    with server.client(Accept=accept) as client:
        return client.get(path, params=parameters)


def parts(response: httpx.Response) -> list[tuple[str, bytes]]:
    """Content type and content of each part, by Python's own parser."""
    head = f"Content-Type: {response.headers['Content-Type']}\r\n\r\n".encode()
    message = BytesParser().parsebytes(head + response.content)
    assert message.get_content_type() == "multipart/related"
    found = [(str(part["Content-Type"]), part.get_payload(decode=True)) for part in message.get_payload()]
    assert {kind.partition(";")[0] for kind, _ in found} <= {message.get_param("type")}
    return found


def test_a_study_comes_in_parts_as_it_was_received(server: RunningServer, tmp_path: Any) -> None:
    sent = image()
    keep(server, sent)
    keep(server, image(SOPInstanceUID="1.2.10"))

    response = get(server, f"/studies/{STUDY}", ANY)

    assert response.status_code == 200
    found = {dcmread(BytesIO(content)).SOPInstanceUID: content for _, content in parts(response)}
    assert set(found) == {"1.2.9", "1.2.10"}
    path = tmp_path / "returned"
    path.write_bytes(found["1.2.9"])
    assert data_set_bytes(path) == encoded(sent)


def test_series_and_instance_are_retrieved_alone(server: RunningServer) -> None:
    keep(server, image())
    keep(server, image(SOPInstanceUID="1.2.10", SeriesInstanceUID="1.2.3.100.2"))
    assert len(parts(get(server, f"/studies/{STUDY}/series/{STUDY}.2"))) == 1
    ((kind, content),) = parts(get(server, INSTANCE))
    assert kind == "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"
    assert dcmread(BytesIO(content)).SOPInstanceUID == "1.2.9"


@pytest.mark.parametrize("stored", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("accept", ["*/*", ANY])
def test_encodings_that_web_services_do_not_use_become_explicit_little_endian(
    server: RunningServer, stored: str, accept: str
) -> None:
    ds = image()
    if stored == ExplicitVRBigEndian:
        ds.PixelData = PIXELS.byteswap().tobytes()
    keep(server, ds, stored)

    ((kind, content),) = parts(get(server, INSTANCE, accept))

    returned = dcmread(BytesIO(content))
    assert kind.endswith("transfer-syntax=1.2.840.10008.1.2.1")
    assert returned.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    np.testing.assert_array_equal(returned.pixel_array, PIXELS)


def test_compressed_instances_go_as_stored_or_decoded_or_not_at_all(server: RunningServer) -> None:
    keep(server, compressed(), RLELossless)

    ((kind, content),) = parts(get(server, INSTANCE, ANY))
    assert kind.endswith(f"transfer-syntax={RLELossless}")
    assert dcmread(BytesIO(content)).file_meta.TransferSyntaxUID == RLELossless

    ((_, content),) = parts(get(server, INSTANCE, 'multipart/related; type="application/dicom"'))
    decoded = dcmread(BytesIO(content))
    assert decoded.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert decoded.SOPInstanceUID == "1.2.9"
    np.testing.assert_array_equal(decoded.pixel_array, PIXELS)

    other = f'multipart/related; type="application/dicom"; transfer-syntax={JPEGBaseline8Bit}'
    assert get(server, INSTANCE, other).status_code == 406
    assert get(server, INSTANCE, f"{other}, {ANY};q=0.5").status_code == 200


@pytest.mark.parametrize(
    "accept", ["application/dicom", "image/jpeg", 'multipart/related; type="application/dicom+xml"']
)
def test_other_media_types_are_not_acceptable(server: RunningServer, accept: str) -> None:
    keep(server, image())
    assert get(server, INSTANCE, accept).status_code == 406


def test_what_can_be_sent_only_in_part_is_told_as_partial(server: RunningServer) -> None:
    keep(server, image())
    keep(server, dataset(SOPInstanceUID="1.2.11", PixelData=None), "1.2.840.10008.1.2.4.203")
    accept = 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.203'
    response = get(server, f"/studies/{STUDY}", accept)
    assert (response.status_code, len(parts(response))) == (206, 1)


@pytest.mark.parametrize(
    "path",
    [
        "/studies/9.9",
        f"/studies/{STUDY}/series/9",
        f"{INSTANCE}0",
        f"{INSTANCE}0/metadata",
        f"{INSTANCE}0/rendered",
    ],
)
def test_what_is_not_there_is_not_found(server: RunningServer, path: str) -> None:
    keep(server, image())
    assert get(server, path).status_code == 404


@pytest.mark.parametrize("path", ["/studies/1.x", "/studies/%2e%2e%2f%2e%2e", f"/studies/{STUDY}/series/a"])
def test_what_is_no_uid_is_a_bad_request_or_no_place(server: RunningServer, path: str) -> None:
    assert get(server, path).status_code in (400, 404)


def test_an_altered_file_is_never_sent_as_a_whole(server: RunningServer) -> None:
    keep(server, image())
    instance = server.database.instances.get("1.2.9")
    assert instance is not None
    content = bytearray(instance.path.read_bytes())
    content[-1] ^= 1
    instance.path.write_bytes(content)
    with pytest.raises(httpx.RemoteProtocolError):
        get(server, INSTANCE, ANY)


def test_metadata_links_to_large_values_and_leads_back_to_them(server: RunningServer) -> None:
    item = dataset(PixelData=None, EncapsulatedDocument=b"\1" * 3000)
    keep(
        server,
        image(ReferencedStudySequence=[item], PatientName="Straße^Jörg", SpecificCharacterSet="ISO_IR 100"),
    )

    response = get(server, f"{INSTANCE}/metadata")

    assert response.headers["Content-Type"] == "application/dicom+json"
    (told,) = response.json()
    assert told["00100010"]["Value"] == [{"Alphabetic": "Straße^Jörg"}]
    assert told["00080005"]["Value"] == ["ISO_IR 192"]
    assert told["7FE00010"] == {"vr": "OW", "BulkDataURI": f"{server.url}{INSTANCE}/bulkdata/7FE00010"}
    nested = told["00081110"]["Value"][0]["00420011"]["BulkDataURI"]
    expected = {told["7FE00010"]["BulkDataURI"]: PIXELS.tobytes(), nested: b"\1" * 3000}
    for url, value in expected.items():
        assert parts(httpx.get(url)) == [("application/octet-stream", value)]
        assert httpx.get(url, headers={"Accept": "application/octet-stream"}).content == value
        assert httpx.get(url, headers={"Accept": "image/png"}).status_code == 406
    (whole,) = [Dataset.from_json(told, bulk_data_uri_handler=lambda uri: expected.get(uri, b""))]
    assert whole.PixelData == PIXELS.tobytes()


def test_metadata_of_a_study_tells_each_instance_even_beside_one_that_cannot_be_read(
    server: RunningServer,
) -> None:
    for number in range(3):
        keep(server, image(SOPInstanceUID=f"1.2.{number}"))
    broken = server.database.instances.get("1.2.1")
    assert broken is not None
    broken.path.write_bytes(b"x")
    told = get(server, f"/studies/{STUDY}/metadata").json()
    assert [each["00080018"]["Value"][0] for each in told] == ["1.2.0", "1.2.1", "1.2.2"]


def test_bulk_data_is_little_endian(server: RunningServer) -> None:
    keep(server, image(PixelData=PIXELS.byteswap().tobytes()), ExplicitVRBigEndian)
    ((_, value),) = parts(get(server, f"{INSTANCE}/bulkdata/7FE00010"))
    assert value == PIXELS.tobytes()
    ((_, value),) = parts(get(server, f"{INSTANCE}/frames/2"))
    assert value == PIXELS[1].tobytes()


@pytest.mark.parametrize(
    "path", ["", "7FE00010/0", "x", "00081110/0/00420011", "00100010", "../7FE00010", "9" * 99]
)
def test_bulk_data_that_is_not_there(server: RunningServer, path: str) -> None:
    keep(server, image())
    assert get(server, f"{INSTANCE}/bulkdata/{path}").status_code == 404


def test_frames_come_one_by_one_in_the_order_asked_for(server: RunningServer) -> None:
    keep(server, image())
    found = parts(get(server, f"{INSTANCE}/frames/3,1"))
    assert found == [
        ("application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1", PIXELS[index].tobytes())
        for index in (2, 0)
    ]


def test_compressed_frames_go_as_stored_or_decoded(server: RunningServer) -> None:
    ds = compressed()
    keep(server, ds, RLELossless)
    second = get_frame(ds.PixelData, 1, number_of_frames=3)
    octets = 'multipart/related; type="application/octet-stream"'

    assert parts(get(server, f"{INSTANCE}/frames/2", octets)) == [
        ("application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1", PIXELS[1].tobytes())
    ]
    assert parts(get(server, f"{INSTANCE}/frames/2", f"{octets}; transfer-syntax=*")) == [
        (f"application/octet-stream; transfer-syntax={RLELossless}", second)
    ]
    assert parts(get(server, f"{INSTANCE}/frames/2", 'multipart/related; type="image/dicom-rle"')) == [
        (f"image/dicom-rle; transfer-syntax={RLELossless}", second)
    ]
    assert get(server, f"{INSTANCE}/frames/2", 'multipart/related; type="image/jpeg"').status_code == 406
    assert len(parts(get(server, f"{INSTANCE}/bulkdata/7FE00010", octets))) == 3


def test_frames_of_single_bits_are_cut_at_bits(server: RunningServer) -> None:
    masks = (PIXELS % 3 == 0).astype(np.uint8)
    content = np.packbits(masks.reshape(-1), bitorder="little").tobytes()
    keep(server, image(BitsAllocated=1, BitsStored=1, HighBit=0, PixelData=content))
    ((_, frame),) = parts(get(server, f"{INSTANCE}/frames/2"))
    bits = np.unpackbits(np.frombuffer(frame, np.uint8), bitorder="little")[:20]
    np.testing.assert_array_equal(bits.reshape(4, 5), masks[1])


@pytest.mark.parametrize(
    ("numbers", "status"), [("4", 404), ("0", 400), ("x", 400), ("1,", 400), ("-1", 400)]
)
def test_frames_that_there_are_not(server: RunningServer, numbers: str, status: int) -> None:
    keep(server, image())
    assert get(server, f"{INSTANCE}/frames/{numbers}").status_code == status


def picture(server: RunningServer, accept: str = "image/png", path: str = "", **parameters: Any) -> Any:
    response = get(server, f"{INSTANCE}{path}/rendered", accept, **parameters)
    assert response.status_code == 200, response.text
    return np.asarray(Image.open(BytesIO(response.content)))


def test_a_window_is_applied_as_the_standard_computes_it(server: RunningServer) -> None:
    keep(server, image(WindowCenter=10, WindowWidth=11))
    # PS3.3 C.11.2.1.2.1: ((x - (c - 0.5)) / (w - 1) + 0.5) * 255, cut at both ends.
    expected = np.clip(((PIXELS[0] - 9.5) / 10 + 0.5) * 255, 0, 255)
    np.testing.assert_allclose(picture(server), expected, atol=1)
    expected = np.clip(((PIXELS[2] - 49.5) / 20 + 0.5) * 255, 0, 255)
    np.testing.assert_allclose(picture(server, path="/frames/3", window="50,21,linear"), expected, atol=1)


def test_monochrome1_is_turned(server: RunningServer) -> None:
    keep(server, image(PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE"))
    found = picture(server)
    assert (found[0, 0], found[-1, -1]) == (255, 0)


def test_colour_is_shown_as_it_is(server: RunningServer) -> None:
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    colour = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    bits = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "NumberOfFrames": 1}
    keep(server, image(**colour, **bits, PixelData=pixels.tobytes()))
    np.testing.assert_array_equal(picture(server), pixels)


def test_a_picture_fits_the_viewport_and_keeps_its_shape(server: RunningServer) -> None:
    keep(server, image())
    assert picture(server, viewport="50,50").shape == (40, 50)
    assert get(server, f"{INSTANCE}/rendered").headers["Content-Type"] == "image/jpeg"
    assert picture(server, "image/jpeg", quality="10").shape == (4, 5)


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ({"viewport": "0,5"}, 400),
        ({"viewport": "99999,5"}, 400),
        ({"viewport": "nan,1"}, 400),
        ({"viewport": "5"}, 400),
        ({"window": "1"}, 400),
        ({"window": "1,0,linear"}, 400),
        ({"window": "1,5,sigmoid"}, 400),
        ({"quality": "101"}, 400),
        ({"accept": "image/gif"}, 406),
        ({"accept": "text/html"}, 406),
    ],
)
def test_pictures_that_cannot_be_made_so(
    server: RunningServer, parameters: dict[str, str], status: int
) -> None:
    keep(server, image())
    assert get(server, f"{INSTANCE}/rendered", **parameters).status_code == status


def test_what_has_no_pixels_has_no_picture(server: RunningServer) -> None:
    keep(server, dataset(SOPInstanceUID="1.2.9", PixelData=None))
    assert get(server, f"{INSTANCE}/rendered").status_code == 404
    assert get(server, f"{INSTANCE}/frames/1").status_code == 404


def test_pixels_that_cannot_be_decoded_are_neither_picture_nor_frame(server: RunningServer) -> None:
    keep(server, image(PixelData=b"\0\0"))
    assert get(server, f"{INSTANCE}/rendered").status_code == 406
    assert get(server, f"{INSTANCE}/frames/1").status_code == 406
