"""Opens any weights that the project reads as a network that can learn."""

import warnings
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path

import torch
from peft import get_peft_model

from model.families.medversa_loading import checked_need, empty_network
from model.families.medversa_networks.checkpoint import fill
from model.families.medversa_networks.footprint import parameters_of
from model.families.medversa_networks.network import MedVersaNetwork, lora_config
from model.families.medversa_networks.tokenizer import MedVersaTokenizer
from model.families.medversa_opening import OpenedWeights, open_weights
from model.memory import free_memory
from model.precision import Precision, resolved
from model.registry import SHIPPED
from model.training.runs.plan import Lora, RunPlan
from model.weights import WeightsConfig


def open_to_learn(plan: RunPlan) -> tuple[MedVersaNetwork, MedVersaTokenizer, WeightsConfig]:
    """Load the weights that a plan starts from, on the CPU; what learns is float32, all frozen yet.

    A language model without an adapter gets one if `lora` is to learn.

    Raises:
        WeightsError: see `open_weights`.
        MemoryShortageError: there is not the memory for them.
    """
    if plan.start_from in SHIPPED:
        with as_file(files("model.families") / SHIPPED[plan.start_from]) as folder:
            return _open(folder, plan)
    return _open(Path(plan.start_from), plan)


def _open(folder: Path, plan: RunPlan) -> tuple[MedVersaNetwork, MedVersaTokenizer, WeightsConfig]:
    opened = open_weights(folder)
    return _filled(opened, plan), opened.tokenizer, opened.config


def _filled(opened: OpenedWeights, plan: RunPlan) -> MedVersaNetwork:
    network = empty_network(opened.sizes)
    precision = resolved(Precision(plan.precision), parameters_of(network))
    if "language" in plan.train:
        precision = Precision.FLOAT32
    checked_need(network, precision, free_memory("cpu"))
    fill(network, opened.checkpoint, precision)
    if "lora" in plan.train:
        if not network.sizes.lora_rank:
            network = _adapted(network, plan.lora, plan.seed)
        for name, parameter in network.named_parameters():
            if ".lora_" in name:
                parameter.data = parameter.data.float()
    return network


def _adapted(network: MedVersaNetwork, lora: Lora, seed: int) -> MedVersaNetwork:
    """Put an adapter on that changes nothing yet."""
    torch.manual_seed(seed)
    network.sizes = replace(
        network.sizes, lora_rank=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout
    )
    with warnings.catch_warnings():
        # peft asks transformers for an attribute under the name that it had before.
        warnings.simplefilter("ignore", FutureWarning)
        adapted = get_peft_model(network.llama, lora_config(network.sizes))
    network.llama_model = adapted  # pyright: ignore[reportAttributeAccessIssue]  # never a mixed model here
    return network
