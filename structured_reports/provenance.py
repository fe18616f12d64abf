"""Who made a result and how it is marked: device, software, model, weights; AI, research, unverified."""

from typing import Any

from highdicom import AlgorithmIdentificationSequence, ContributingEquipment
from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset
from pydicom.uid import UID

from model.reading import ModelIdentity, Reading
from structured_reports.codes import ARTIFICIAL_INTELLIGENCE, PROCESSING_EQUIPMENT
from structured_reports.identity import uid_from
from structured_reports.sources import Run

MANUFACTURER = "medversa-node"
"""Manufacturer (0008,0070) of every result: with it the loop guard knows our own objects again."""

DEVICE_MODEL = "medversa-node"
DEVICE_UID = uid_from("device", DEVICE_MODEL)
"""Device Observer UID of the software as a product, where an installation has none of its own."""

IMPLEMENTATION_CLASS_UID = UID(uid_from("implementation", DEVICE_MODEL))
IMPLEMENTATION_VERSION_NAME = "MEDVERSA_NODE_1"

CONTENT_QUALIFICATION = "RESEARCH"

DISCLAIMER = "AI-generated draft. Research use only. Not verified by a physician."
DEMO_NOTICE = (
    "Demonstration weights, trained on synthetic phantoms only: nothing here is a clinical statement."
)


def is_own_result(ds: Dataset) -> bool:
    """Say whether a data set is one of our results, whatever version of the software wrote it.

    Works on the header alone, also after an archive has replaced the file meta information.
    """
    if str(ds.get("Manufacturer", "")).strip() == MANUFACTURER:
        return True
    file_meta = getattr(ds, "file_meta", None)
    own_file = file_meta is not None and file_meta.get("ImplementationClassUID") == IMPLEMENTATION_CLASS_UID
    return own_file and ds.get("Modality") in {"SR", "SEG", "PR", "KO"}


def statements(model: ModelIdentity) -> tuple[str, ...]:
    """Say what every result must say of itself."""
    return (DISCLAIMER, DEMO_NOTICE) if model.demo_weights else (DISCLAIMER,)


def model_version(model: ModelIdentity) -> str:
    """Say version and weights in one line, short enough for LO: the digest is cut to 16 of 64 digits."""
    return f"{model.version} weights {model.weights_sha256[:16]}"[:64]


def equipment(model: ModelIdentity, run: Run) -> dict[str, Any]:
    """Fill Enhanced General Equipment (PS3.3 C.7.5.2) for highdicom; versions are a list, as VM 1-n needs."""
    return {
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": DEVICE_MODEL,
        "software_versions": [run.software_version[:64], f"{model.name} {model.version}"[:64]],
        "device_serial_number": run.device_serial_number,
    }


def contributing_equipment(model: ModelIdentity, run: Run) -> ContributingEquipment:
    """Describe the model as processing equipment (DCM 109102), full weight digest included."""
    training = "demonstration weights, trained on phantoms" if model.demo_weights else "trained weights"
    return ContributingEquipment(
        manufacturer=MANUFACTURER,
        purpose_of_reference=PROCESSING_EQUIPMENT,
        manufacturer_model_name=model.name[:64],
        software_versions=[run.software_version[:64], model.version[:64]],
        contribution_datetime=run.started_at,
        contribution_description=(
            f"AI model {model.name} of family {model.family}, generation {model.generation}, {training}, "
            f"weights sha256 {model.weights_sha256}"
        ),
    )


def segmentation_algorithm(model: ModelIdentity) -> AlgorithmIdentificationSequence:
    """Identify the algorithm of a segment (PS3.3 10.16)."""
    return AlgorithmIdentificationSequence(
        name=model.name[:64],
        version=model_version(model),
        family=CodedConcept.from_code(ARTIFICIAL_INTELLIGENCE),
        source=MANUFACTURER,
        parameters={"weights_sha256": model.weights_sha256, "generation": model.generation},
    )


def algorithm_parameters(reading: Reading, run: Run) -> list[str]:
    """List everything by which the reading can be repeated, one Algorithm Parameter (DCM 111002) each."""
    model, conditions = reading.model, reading.conditions
    return [
        f"weights sha256 {model.weights_sha256}",
        "demonstration weights trained on phantoms" if model.demo_weights else "trained weights",
        f"family {model.family}, generation {model.generation}",
        f"software {MANUFACTURER} {run.software_version}",
        f"device {conditions.device}, precision {conditions.precision}",
        f"decoding {conditions.decoding}, seed {reading.seed}",
        *(f"library {name} {version}" for name, version in conditions.libraries),
    ]
