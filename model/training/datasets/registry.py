"""Every dataset that `medversa-node train prepare` reads, by name."""

from collections.abc import Mapping

from model.training.datasets.abdomen_ct_1k import ABDOMEN_CT_1K_READER
from model.training.datasets.dataset_reader import DatasetReader
from model.training.datasets.ham10000 import HAM10000_READER
from model.training.datasets.iu_xray import IU_XRAY_READER
from model.training.datasets.nih_chest_xray import NIH_CHEST_XRAY_READER

DATASETS: Mapping[str, DatasetReader] = {
    "abdomenct-1k": ABDOMEN_CT_1K_READER,
    "ham10000": HAM10000_READER,
    "iu-xray": IU_XRAY_READER,
    "nih-chest-xray": NIH_CHEST_XRAY_READER,
}
