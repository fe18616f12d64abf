"""The ICC profile of pictures in colour: sRGB as an input device (PS3.3 C.11.15)."""

from PIL import ImageCms

_CLASS = slice(12, 16)
_CREATED = slice(24, 36)
_CREATOR_AND_ID = slice(80, 100)
"""Fields of the header of a profile (ICC.1:2022 7.2)."""


def input_profile() -> bytes:
    """Give sRGB of device class `scnr`, which DICOM asks for; the same bytes every time."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[_CLASS] = b"scnr"
    # The library writes when it made the profile; equal input must give equal bytes.
    profile[_CREATED] = b"\x07\xe8\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00"
    profile[_CREATOR_AND_ID] = bytes(20)
    return bytes(profile)
