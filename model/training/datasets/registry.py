"""Every dataset that `medversa-node train prepare` reads, by name."""

from collections.abc import Mapping

from model.training.datasets.abdomen_ct_1k import ABDOMEN_CT_1K_READER
from model.training.datasets.chest_imagenome import CHEST_IMAGENOME_READER
from model.training.datasets.chexmask import CHEXMASK_READER
from model.training.datasets.chexpert import CHEXPERT_READER
from model.training.datasets.dataset_reader import DatasetReader
from model.training.datasets.ham10000 import HAM10000_READER
from model.training.datasets.iu_xray import IU_XRAY_READER
from model.training.datasets.medical_diff_vqa import MEDICAL_DIFF_VQA_READER
from model.training.datasets.mimic_cxr import MIMIC_CXR_READER
from model.training.datasets.ms_cxr import MS_CXR_READER
from model.training.datasets.nih_chest_xray import NIH_CHEST_XRAY_READER

DATASETS: Mapping[str, DatasetReader] = {
    "abdomenct-1k": ABDOMEN_CT_1K_READER,
    "chest-imagenome": CHEST_IMAGENOME_READER,
    "chexmask": CHEXMASK_READER,
    "chexpert": CHEXPERT_READER,
    "ham10000": HAM10000_READER,
    "iu-xray": IU_XRAY_READER,
    "medical-diff-vqa": MEDICAL_DIFF_VQA_READER,
    "mimic-cxr": MIMIC_CXR_READER,
    "ms-cxr": MS_CXR_READER,
    "nih-chest-xray": NIH_CHEST_XRAY_READER,
}
