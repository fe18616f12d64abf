"""Numbers of the published code on weights and inputs that are a function of a seed, and that function.

They are read from beside the checkout, and prove arithmetic and the names of tensors, nothing clinical.
"""

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file
from torch import Tensor

from model.families.medversa_networks.network import MedVersaNetwork, splice
from model.families.medversa_networks.sizes import RELEASED
from model.transforms import VolumePlacement, planar_to_grid, volume_to_grid
from model.volume import FrameKey, Geometry, PlanarImage, Volume
from tests.shared_facts import SHARED

FOLDER = SHARED / "parity" / "public"
MISSING = "the parity fixture is not beside the checkout"


@dataclass(frozen=True, slots=True, eq=False)
class PublicFixture:
    """Expected numbers and the rule that makes inputs and weights."""

    rule: ModuleType
    facts: dict[str, Any]
    stored: dict[str, NDArray[Any]]

    @classmethod
    def read(cls, folder: Path = FOLDER) -> "PublicFixture":
        described = importlib.util.spec_from_file_location("parity_rule", folder / "rule.py")
        assert described is not None
        assert described.loader is not None
        rule = importlib.util.module_from_spec(described)
        described.loader.exec_module(rule)
        facts = json.loads((folder / "fixture.json").read_text(encoding="utf-8"))
        return cls(rule, facts, load_file(folder / "outputs.safetensors"))

    def names(self) -> list[str]:
        """Every number that is not another model's."""
        return [name for name in self.facts["outputs"]["tensors"] if not name.startswith("radfm")]

    def difference(self, name: str, found: Tensor | NDArray[Any]) -> float:
        """How far a result is from the published one, as a multiple of what is tolerated."""
        about = self.facts["outputs"]["tensors"][name]
        array = np.asarray(found)
        assert list(array.shape) == about["full_shape"]
        tolerance = about["tolerance"]
        if tolerance["kind"] == "bits":
            bits = np.unpackbits(self.stored[name])[: array.size].reshape(array.shape)
            return float(np.mean(bits != array) / tolerance["max_fraction_flipped"])
        part = array[tuple(slice(*s) for s in about.get("slice", [[None]]))]
        gap = np.abs(part.astype(np.float64) - self.stored[name]).max()
        return float(gap / tolerance["atol"]) if tolerance["kind"] == "abs" else float(gap) * 2

    def state_dict(self, generation: str) -> dict[str, NDArray[np.float32]]:
        """Weights under their published names."""
        keys = dict(self.facts["keys"]["medversa_v0"])
        if generation == "v1":
            keys |= self.facts["keys"]["medversa_v1_extra"]
        return self.rule.state_dict(self.facts["seed"], keys)

    def picture(self, name: str) -> PlanarImage:
        about = self.facts["inputs"]["images"][name]["smooth"]
        made = self.rule.smooth(self.facts["seed"], name, *about.values()).astype(np.float32) / 255
        return PlanarImage(made[..., 0] if about["channels"] == 1 else made, FrameKey("1"))

    def pictures(self, names: list[str], size: int = 224) -> Tensor:
        """As the network sees them: rounded to bfloat16."""
        grids = [self.rule.bf16(planar_to_grid(self.picture(n), size)[0]) for n in names]
        return torch.from_numpy(np.stack(grids))

    def source_volume(self) -> Volume:
        """The fixture's (i, j, k) is our (k, j, i) turned round."""
        about = self.facts["inputs"]["volume"]["smooth"]
        made = self.rule.smooth(self.facts["seed"], "volume", *about.values())[..., 0]
        voxels = made.transpose(2, 1, 0).astype(np.float32)
        affine = np.zeros((4, 4))
        affine[2, 0] = affine[1, 1] = affine[0, 2] = affine[3, 3] = 1
        return Volume(voxels, Geometry(affine), tuple(FrameKey(f"1.{k}") for k in range(len(voxels))))

    def volume(self) -> tuple[NDArray[np.float32], VolumePlacement]:
        """(1, 64, 192, 192), before rounding."""
        return volume_to_grid(self.source_volume(), RELEASED.volume_grid)

    def full_volume(self) -> Tensor:
        """(1, 1, 64, 192, 192) as the network sees it."""
        return torch.from_numpy(self.rule.bf16(self.volume()[0]))[None]

    def small_volume(self) -> Tensor:
        """(1, 1, 32, 64, 64), cut from the full one."""
        cut = tuple(slice(*s) for s in self.facts["inputs"]["small_volume"]["slice_dij"])
        return self.full_volume()[(slice(None), slice(None), *cut)]

    def hidden(self) -> Tensor:
        about = self.facts["inputs"]["hidden"]["gaussian"]
        return torch.from_numpy(self.rule.gaussian(self.facts["seed"], "hidden", *about.values()))

    def llama_config(self) -> dict[str, Any]:
        """What a `config.json` says of the reduced language model."""
        return {"model_type": "llama", **self.facts["config"]["llama"]}


def embedded(network: MedVersaNetwork, ids: list[int], tokens: Tensor) -> Tensor:
    """(1, L, hidden): ids, with visual tokens in the place of the image placeholders."""
    row = torch.tensor([ids])
    return splice(network.embed(row), row == RELEASED.vocabulary - 5, [tokens])
