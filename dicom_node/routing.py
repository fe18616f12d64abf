"""Pure rule: which instances make a study worth reading.

A class decides, not the modality or the looks of the header: many real chest images are Secondary Capture.
"""

from collections.abc import Iterable
from typing import Final

from dicom_node.study import Instance, Origin, Reason

READABLE_CLASSES: Final[dict[str, str]] = {
    "1.2.840.10008.5.1.4.1.1.1": "Computed Radiography",
    "1.2.840.10008.5.1.4.1.1.1.1": "Digital X-Ray, for presentation",
    "1.2.840.10008.5.1.4.1.1.1.1.1": "Digital X-Ray, for processing",
    "1.2.840.10008.5.1.4.1.1.2": "CT",
    "1.2.840.10008.5.1.4.1.1.2.1": "Enhanced CT",
    "1.2.840.10008.5.1.4.1.1.2.2": "Legacy Converted Enhanced CT",
    "1.2.840.10008.5.1.4.1.1.7": "Secondary Capture",
    "1.2.840.10008.5.1.4.1.1.7.2": "Multi-frame Grayscale Byte Secondary Capture",
    "1.2.840.10008.5.1.4.1.1.7.3": "Multi-frame Grayscale Word Secondary Capture",
    "1.2.840.10008.5.1.4.1.1.7.4": "Multi-frame True Color Secondary Capture",
    "1.2.840.10008.5.1.4.1.1.77.1.4": "VL Photographic",
    "1.2.840.10008.5.1.4.1.1.77.1.7": "Dermoscopic Photography",
}
"""Storage classes that the node reads; PS3.4 B.5."""


def is_for_reading(instance: Instance) -> bool:
    """Say whether this instance, by itself, makes its study one that is read."""
    return instance.origin is Origin.ROUTED and instance.sop_class_uid in READABLE_CLASSES


def why_not_applicable(instances: Iterable[Instance]) -> Reason | None:
    """Return why a complete study is not read; None if it is."""
    return None if any(is_for_reading(instance) for instance in instances) else Reason.NO_IMAGES
