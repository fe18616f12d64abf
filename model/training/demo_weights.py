"""Writes what a training run has learned as a folder of weights with its figures and its card."""

import platform
from collections.abc import Iterable
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

from model.errors import WeightsError
from model.families.medversa import MedVersaFamily
from model.families.medversa_loading import load_medversa
from model.families.medversa_networks.network import MedVersaNetwork
from model.families.medversa_networks.sizes import MedVersaSizes
from model.families.medversa_networks.tokenizer import MedVersaTokenizer
from model.families.medversa_saving import save_weights
from model.reading import CHEST_FINDINGS, ModelIdentity
from model.registry import load_family
from model.training.datasets.case_files import Case
from model.training.examination import Figures, best_temperature, examine, figures_of
from model.training.finetune import FIRST_STAGES, ON_STAGES, DemoPlan
from model.training.source_revision import source_revision
from model.weights import (
    CONFIG_FILE,
    TOKENIZER_FILE,
    WeightsConfig,
    read_config,
    write_config,
)

VERSION = "0.5.0"
CARD_FILE = "MODEL_CARD.md"
_LIBRARIES = ("torch", "transformers", "peft", "tokenizers", "safetensors", "numpy", "scipy", "pillow")


def demonstration(name_or_dir: str) -> MedVersaFamily:
    """Open demonstration weights to train them on.

    Raises:
        WeightsError: they are no demonstration weights of MedVersa, or cannot be opened.
    """
    family = load_family(name_or_dir)
    if not isinstance(family, MedVersaFamily) or not family.identity.demo_weights:
        raise WeightsError("training goes on from demonstration weights of MedVersa only")
    return family


def write_demo_weights(
    network: MedVersaNetwork,
    tokenizer: MedVersaTokenizer,
    plan: DemoPlan,
    folder: Path,
    *,
    started_from: ModelIdentity | None = None,
) -> None:
    """Write weights, tokenizer and configuration; figures come later, from `write_figures`."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.tokenizer.save(str(folder / TOKENIZER_FILE))
    config = WeightsConfig(
        family="medversa",
        preset="demo",
        name="medversa-demo",
        version=VERSION,
        demo_weights=True,
        sizes=network.sizes.to_json(),
        training=_how(plan, started_from),
    )
    save_weights(folder, network, config)


def write_figures(folder: Path, calibration: Iterable[Case], held_out: Iterable[Case]) -> Figures:
    """Fit the yes/no temperature on some held-out cases, examine on others, write both and the model card."""
    marks = examine(load_medversa(folder, "cpu"), calibration)
    pairs = [pair for name in CHEST_FINDINGS for pair in marks.yes[name]]
    config = replace(read_config(folder), yes_temperature=round(best_temperature(pairs), 3) if pairs else 1.0)
    write_config(folder, config)
    figures = figures_of(examine(load_medversa(folder, "cpu"), held_out))
    write_config(folder, replace(config, evaluation=figures))
    (folder / CARD_FILE).write_text(card_of(replace(config, evaluation=figures)), encoding="utf-8")
    return figures


def plan_of(folder: Path) -> DemoPlan:
    """The plan that demonstration weights were trained by.

    Raises:
        WeightsError: the weights were not made by `train demo` from nothing.
    """
    config = read_config(folder)
    if not config.demo_weights or "plan" not in config.training or config.training.get("started_from"):
        raise WeightsError("these weights were not made from nothing by `train demo`")
    return DemoPlan(**config.training["plan"], sizes=MedVersaSizes.from_json(config.sizes))


def _how(plan: DemoPlan, started_from: ModelIdentity | None) -> dict[str, object]:
    described = asdict(plan)
    described.pop("sizes")
    stages = ON_STAGES if started_from else FIRST_STAGES
    described["steps"] = {stage: plan.steps[stage] for stage in stages}
    command = "medversa-node train demo"
    before = started_from and {
        "name": started_from.name,
        "version": started_from.version,
        "weights_sha256": started_from.weights_sha256,
    }
    return {
        "data": "generated phantoms only",
        "command": f"{command} --start-from {started_from.name}" if started_from else command,
        "started_from": before,
        "plan": described,
        "base_and_lora_trained": True,
        "source_revision": source_revision(),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in _LIBRARIES},
    }


def card_of(config: WeightsConfig) -> str:
    """Write the model card in Markdown, its `deviations` from the command included."""
    rows = "\n".join(f"| {name} | {value} |" for name, value in config.evaluation.items())
    started = config.training.get("started_from")
    before = (
        f"- started from the weights of sha256 `{started['weights_sha256']}`: encoders, U-Nets and tokenizer "
        "are theirs; the language model and the layers that its tags drive learned on\n"
        if started
        else ""
    )
    deviations = config.training.get("deviations", [])
    told = "\n".join(f"- {one}" for one in deviations)
    beside = f"\n## How they deviate from what the command makes\n\n{told}\n" if deviations else ""
    return f"""# {config.name} {config.version}

Demonstration weights of the MedVersa v0 architecture at preset `{config.preset}`. **Not for clinical use.**
They were trained on generated phantoms only, never on a patient's image; nothing that they say about a
patient is evidence.

- made by `{config.training["command"]}` at revision {config.training["source_revision"]}, seed \
{config.training["plan"]["seed"]}
{before}- sha256 of the weights: `{config.weights_sha256}`
- language model: base and LoRA were both trained, since no pre-trained base exists at this size
- yes/no answers are divided by temperature {config.yes_temperature}, fitted on held-out phantoms
{beside}
## Figures on held-out phantoms

These figures say how well phantoms were learned. They are not clinical performance.

| figure | value |
|---|---|
{rows}
"""


def require_demo(folder: Path) -> None:
    """Refuse to write over weights that are no demonstration weights.

    Raises:
        WeightsError: the folder holds a configuration without `demo_weights`.
    """
    if (folder / CONFIG_FILE).exists() and not read_config(folder).demo_weights:
        raise WeightsError("the folder holds weights that this command did not make")
