"""Which SOP classes and transfer syntaxes the node stores (PS3.4 B.5, PS3.5 10)."""

from typing import Final

from pydicom.uid import UID
from pynetdicom.service_class import StorageServiceClass
from pynetdicom.sop_class import uid_to_service_class

VERIFICATION: Final = "1.2.840.10008.1.1"

TRANSFER_SYNTAXES: Final[tuple[str, ...]] = (
    "1.2.840.10008.1.2.1",  # Explicit VR Little Endian
    "1.2.840.10008.1.2",  # Implicit VR Little Endian
    "1.2.840.10008.1.2.2",  # Explicit VR Big Endian
    "1.2.840.10008.1.2.1.99",  # Deflated Explicit VR Little Endian
    "1.2.840.10008.1.2.5",  # RLE Lossless
    "1.2.840.10008.1.2.4.50",  # JPEG Baseline
    "1.2.840.10008.1.2.4.51",  # JPEG Extended
    "1.2.840.10008.1.2.4.57",  # JPEG Lossless
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless, first-order prediction
    "1.2.840.10008.1.2.4.80",  # JPEG-LS Lossless
    "1.2.840.10008.1.2.4.81",  # JPEG-LS Near-Lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 Lossless
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
    "1.2.840.10008.1.2.4.201",  # HTJ2K Lossless
    "1.2.840.10008.1.2.4.202",  # HTJ2K Lossless RPCL
    "1.2.840.10008.1.2.4.203",  # HTJ2K
)
"""Every encoding that the decoders at hand can read. Of several offered, the sender's first is taken."""

_STANDARD_ROOT: Final = "1.2.840.10008."
_STORAGE_ROOT: Final = "1.2.840.10008.5.1.4.1.1."
_NOT_INSTANCES: Final = frozenset(("1.2.840.10008.1.3.10", "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.2"))
"""Media Storage Directory and Storage Commitment: named storage, but no composite instances."""


def is_storage_class(uid: str) -> bool:
    """Say whether an abstract syntax is a storage class: standard, retired, newer than ours, or private."""
    if uid in _NOT_INSTANCES:
        return False
    if uid_to_service_class(uid) is StorageServiceClass:
        return True
    known = UID(uid)
    if not known.is_private and known.type:
        return known.type == "SOP Class" and "Storage" in known.name
    return uid.startswith(_STORAGE_ROOT) or not uid.startswith(_STANDARD_ROOT)
