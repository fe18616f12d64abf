"""SOP classes of the objects that each profile of a destination sends (PS3.4 B.5)."""

from collections.abc import Mapping
from typing import Final

ENHANCED_SR: Final = "1.2.840.10008.5.1.4.1.1.88.22"
COMPREHENSIVE_SR: Final = "1.2.840.10008.5.1.4.1.1.88.33"
COMPREHENSIVE_3D_SR: Final = "1.2.840.10008.5.1.4.1.1.88.34"
KEY_OBJECTS: Final = "1.2.840.10008.5.1.4.1.1.88.59"
SEGMENTATION: Final = "1.2.840.10008.5.1.4.1.1.66.4"
PRESENTATION_STATE: Final = "1.2.840.10008.5.1.4.1.1.11.1"
SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
ENCAPSULATED_PDF: Final = "1.2.840.10008.5.1.4.1.1.104.1"

SENT: Final[Mapping[str, tuple[str, ...]]] = {
    "air": (COMPREHENSIVE_3D_SR, SEGMENTATION, PRESENTATION_STATE),
    "full": (COMPREHENSIVE_3D_SR, SEGMENTATION, PRESENTATION_STATE, KEY_OBJECTS, ENHANCED_SR),
    "label-map": (COMPREHENSIVE_3D_SR, SEGMENTATION, PRESENTATION_STATE),
    "ohif": (COMPREHENSIVE_3D_SR, SEGMENTATION),
    "ohif-edit": (COMPREHENSIVE_3D_SR, SEGMENTATION),
    "stone": (COMPREHENSIVE_SR, SEGMENTATION),
    "legacy-gsps": (PRESENTATION_STATE, KEY_OBJECTS, ENHANCED_SR),
    "legacy-sc": (ENHANCED_SR, SECONDARY_CAPTURE),
    "legacy-pdf": (ENCAPSULATED_PDF,),
    "auto": (),
}
"""What a destination must store, by the name of its profile; `auto` sends what it is found to store."""
