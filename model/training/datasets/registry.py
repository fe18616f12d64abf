"""Every dataset that `medversa-node train prepare` reads, by name."""

from collections.abc import Mapping

from model.training.datasets.dataset_reader import DatasetReader

DATASETS: Mapping[str, DatasetReader] = {}
