"""Writes what a run has learned as a folder of weights that the node serves, with its card."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from model.families.medversa_saving import save_weights
from model.training.runs.checkpoints import TRAINED, Standing, place_of
from model.training.runs.opening import open_to_learn
from model.training.runs.plan import RunPlan
from model.weights import TOKENIZER_FILE, WeightsConfig

CARD_FILE = "MODEL_CARD.md"


def write_weights(
    plan: RunPlan, checkpoints: Path, standing: Standing, made: Mapping[str, Any], folder: Path
) -> WeightsConfig:
    """Put the best checkpoint, or the last if none was validated, into the weights that the run started from.

    Every tensor keeps its precision: what was not trained is written as it was read.
    """
    step = standing.step if standing.best_step is None else standing.best_step
    network, tokenizer, start = open_to_learn(plan)
    own = dict(network.named_parameters())
    with torch.no_grad():
        for name, tensor in load_file(place_of(checkpoints, step) / TRAINED).items():
            own[name].copy_(tensor)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.tokenizer.save(str(folder / TOKENIZER_FILE))
    config = replace(
        start,
        name=plan.name,
        version=plan.version,
        demo_weights=start.demo_weights and plan.only_phantoms,
        files={},
        training={"plan": json.loads(plan.model_dump_json()), "step": step, **made},
        evaluation={},
    )
    written = save_weights(folder, network, config, dtype=None)
    (folder / CARD_FILE).write_text(card(plan, standing, written), encoding="utf-8")
    return written


def card(plan: RunPlan, standing: Standing, config: WeightsConfig) -> str:
    """Describe weights for people who may use them."""
    made, start = config.training, config.training["started_from"]
    data = "\n".join(
        f"| {d['name']} | {', '.join(f'{n} {split}' for split, n in d['cases'].items())} "
        f"| {d['licence']} | `{d['sha256'][:12]}` |"
        for d in made["data"]
    )
    figure = (
        f"the best of the validations by {plan.keep.best_by}: {standing.best_figure:.4f}"
        if standing.best_figure is not None
        else "the last; nothing was validated"
    )
    rates = plan.descent
    return f"""# {config.name} {config.version}

Made by `medversa-node train run` from {start["name"]} {start["version"]}
(sha256 `{start["weights_sha256"]}`). Not a medical device. How well it reads has to be measured for each use:
`medversa-node evaluate` does that on any prepared dataset.

## What it learned from

| data | cases | licence | sha256 |
|---|---|---|---|
{data}

## How

- learned: {", ".join(sorted(plan.train))}; all else is as it was
- losses: {plan.recipe}; augmentation: {plan.augmentation}; seed {plan.seed}
- {plan.steps} steps planned, {standing.step} done, {plan.batch.size} examples each
- these weights are those of step {made["step"]}, {figure}
- AdamW, rate {rates.start_rate:g} to {rates.peak_rate:g} in {rates.warm_up} steps, then a cosine to
  {rates.end_rate:g}; weight decay {rates.weight_decay:g}; gradients no longer than {rates.clip}

The plan, and source, libraries and machines of every session, are in `config.json` under `training`.
"""
