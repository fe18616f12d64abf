"""The published numbers, and our network with the weights that they were made with."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.numpy import save_file

from model.families.medversa_loading import empty_network
from model.families.medversa_networks.checkpoint import Checkpoint, fill
from model.families.medversa_networks.inferred_sizes import inferred_sizes
from model.families.medversa_networks.network import MedVersaNetwork
from model.tensor_files import TensorFiles
from tests.public_fixture import FOLDER, MISSING, PublicFixture


@pytest.fixture(scope="session")
def public() -> PublicFixture:
    if not (FOLDER / "fixture.json").is_file():
        pytest.skip(MISSING)
    return PublicFixture.read()


@pytest.fixture(scope="session")
def network(public: PublicFixture, tmp_path_factory: pytest.TempPathFactory) -> MedVersaNetwork:
    """Generation v1, which has all that v0 has, read as a released checkpoint is."""
    return network_of(public, "v1", tmp_path_factory.mktemp("weights"))


def network_of(public: PublicFixture, generation: str, folder: Path) -> MedVersaNetwork:
    save_file(public.state_dict(generation), folder / "model.safetensors")
    checkpoint = Checkpoint()
    checkpoint.add(TensorFiles(folder))
    made = empty_network(inferred_sizes(checkpoint.shapes, public.llama_config(), None))
    fill(made, checkpoint)
    return made.requires_grad_(False).eval()


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield
