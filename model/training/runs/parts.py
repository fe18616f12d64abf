"""The parts of a network that a run trains or leaves alone, each parameter in exactly one."""

import re
from collections.abc import Iterable

from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from model.families.medversa_networks.network import MedVersaNetwork
from model.reading import Modality, Task
from model.training.sampling import TASK_GROUPS, Kind

PARTS: dict[str, re.Pattern[str]] = {
    name: re.compile(pattern)
    for name, pattern in {
        "lora": r"llama_model\..*\.lora_",
        "language": r"llama_model\.",
        "vision_2d": r"(visual_encoder|ln_vision)_2d(_vqa)?\.",
        "vision_3d": r"visual_encoder_3d\.(conv|enc\d)\.|ln_vision_3d\.",
        "projections": r"llama_proj_\w+\.",
        "detection": r"text_det\.",
        "segmentation_2d": r"model_(seg|sam)_2d\.|text2(seg|sam)_2d(_gn|_bn)?\.",
        "segmentation_3d": r"visual_encoder_3d\.(dec\d|out)\.|text2seg_3d(_gn)?\.",
        "unused": r"text2seg_[23]d_ln\.",
    }.items()
}
"""Names of parameters by part, in the order in which a name is looked for.

The 3D U-Net is two parts: its encoder half sees, its decoder half masks. `unused` is in published checkpoints
and takes part in nothing.
"""


def part_of(name: str) -> str:
    """Name the part that a parameter of `MedVersaNetwork` belongs to."""
    return next(part for part, pattern in PARTS.items() if pattern.match(name))


def taught_by(kind: Kind) -> frozenset[str]:
    """Name the parts that the losses of a modality and task reach, if all of them learn.

    In batches of segmentation the visual tokens pass nothing back, see `Learner`; the encoder of volumes is
    reached nevertheless, through the half that masks them.
    """
    modality, task = kind
    volumetric = modality is Modality.CT
    if task is Task.SEGMENTATION:
        masking = {"segmentation_3d", "vision_3d"} if volumetric else {"segmentation_2d"}
        return frozenset({"language", "lora"} | masking)
    seeing = {"language", "lora", "projections", "vision_3d" if volumetric else "vision_2d"}
    return frozenset(seeing | ({"detection"} if task in TASK_GROUPS["detection"] else set()))


def choose(network: MedVersaNetwork, trained: Iterable[str]) -> dict[str, nn.Parameter]:
    """Let the named parts learn and freeze all others; return what learns by name."""
    chosen = frozenset(trained)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(part_of(name) in chosen)
    return {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}


def wake(network: MedVersaNetwork, trained: Iterable[str]) -> None:
    """Put what learns into training mode, which drops paths and adapters at random; all else evaluates.

    BatchNorm keeps the statistics that it came with: those of a homogeneous batch would not serve others.
    """
    chosen = frozenset(trained)
    for name, module in network.named_modules():
        part = next((part for part, pattern in PARTS.items() if pattern.match(f"{name}.")), None)
        module.training = part in chosen and not isinstance(module, nn.BatchNorm2d)


def recompute(network: MedVersaNetwork) -> None:
    """Let language model and planar encoders compute activations again on the way back, to save memory.

    Call it after `wake`: layers do so only in training mode, whatever is inside them.
    """
    encoders = [m for name, m in network.named_children() if name.startswith("visual_encoder_2d")]
    for part in (network.llama, *encoders):
        if isinstance(part, PreTrainedModel):
            part.activation_checkpointing_enable()
        for module in part.modules():
            if isinstance(module, GradientCheckpointingLayer):
                module.training = True
