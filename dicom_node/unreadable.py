"""What the parser raises for bytes that are no DICOM, when it reads them or decodes a value of them."""

import struct
import zlib
from typing import Final

from pydicom.errors import BytesLengthException, InvalidDicomError

UNREADABLE: Final = (
    InvalidDicomError,
    BytesLengthException,
    OSError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    NotImplementedError,
    RecursionError,
    struct.error,
    zlib.error,
)
