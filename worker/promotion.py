"""Puts weights into service: checks them, keeps them beside the node's data, and changes one setting."""

import json
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Table

from dicom_node.settings import NodeSettings, load_settings
from model.families.medversa_survey import survey
from model.registry import SHIPPED
from model.weights import WeightsConfig, has_config, read_config, write_config
from worker.errors import PromotionError

CARD_FILE = "MODEL_CARD.md"
HISTORY_FILE = "promotions.jsonl"


@dataclass(frozen=True, slots=True)
class Promotion:
    """One change of the weights in service."""

    before: str
    """The setting as it was: a folder or a shipped name; promote it to go back."""
    now: str
    weights_sha256: str
    """Empty for shipped weights, which the program's own version identifies."""
    at: str


def promote(weights: str, config_file: Path) -> Promotion:
    """Check a run, a folder of weights or a shipped name, keep a copy, and name it in the node's TOML file.

    The copy lies in `DATA_DIR/weights`, so that a run folder may go. Workers read the setting when they
    start. Everything else in the TOML file stays as it is, comments included. Promoting what is in service
    already changes nothing but the history.

    Raises:
        PromotionError: the weights cannot be served, lack a card, or the file cannot be written.
        SettingsError: the file cannot be used.
    """
    settings = load_settings(config_file)
    before = settings.worker.weights
    if weights in SHIPPED:
        now, digest = weights, ""
    else:
        folder = _weights_of(Path(weights))
        config = _checked(folder)
        kept = _keep(folder, config, settings.node.data_dir / "weights")
        now, digest = str(kept), config.weights_sha256
    _write_setting(config_file, now)
    promotion = Promotion(before, now, digest, datetime.now(UTC).isoformat(timespec="seconds"))
    _note(promotion, settings)
    return promotion


def history(settings: NodeSettings) -> list[Promotion]:
    """Every promotion on this node, oldest first."""
    path = settings.node.data_dir / "weights" / HISTORY_FILE
    if not path.exists():
        return []
    return [Promotion(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def _weights_of(path: Path) -> Path:
    """A run keeps its weights in `weights`."""
    for folder in (path, path / "weights"):
        if folder.is_dir() and has_config(folder):
            return folder
    raise PromotionError(
        f"{path.name} is no run and no folder of converted weights; "
        f"convert a release with `medversa-node weights convert`; shipped are {', '.join(SHIPPED)}"
    )


def _checked(folder: Path) -> WeightsConfig:
    if problems := survey(folder).problems:
        raise PromotionError(f"these weights cannot be served: {'; '.join(problems)}")
    config = read_config(folder)
    if not (folder / CARD_FILE).is_file():
        raise PromotionError(
            f"no {CARD_FILE} beside the weights: nobody could tell what they were made from and how good "
            "they are; write one"
        )
    return config


def _keep(folder: Path, config: WeightsConfig, kept: Path) -> Path:
    """Copy weights under a name that says which they are; what lies there already and is whole is used."""
    target = kept / f"{config.name}-{config.version}-{config.weights_sha256[:12]}"
    if folder.resolve() == target.resolve():
        return target
    if target.exists() and not survey(target).problems:
        return target
    kept.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        shutil.copytree(folder, part)
        base = (folder / config.language_model).resolve()
        if not base.is_relative_to(folder.resolve()):
            write_config(part, replace(config, language_model=str(base)))
        shutil.rmtree(target, ignore_errors=True)
        part.rename(target)
    except OSError as exc:
        shutil.rmtree(part, ignore_errors=True)
        raise PromotionError(f"the weights cannot be copied to {kept}: {exc.strerror}") from exc
    return target


def _write_setting(config_file: Path, weights: str) -> None:
    """Change `[worker] weights` and nothing else; the file is replaced at once or not at all."""
    part = config_file.with_name(f"{config_file.name}.part")
    try:
        document = tomlkit.parse(config_file.read_text(encoding="utf-8"))
        worker = document.setdefault("worker", tomlkit.table())
        if not isinstance(worker, Table):
            raise PromotionError(f"{config_file}: [worker] is not a table of its own; write it as one")
        worker["weights"] = weights
        part.write_text(tomlkit.dumps(document), encoding="utf-8")
        shutil.copymode(config_file, part)
        part.replace(config_file)
    except (OSError, TOMLKitError) as exc:
        part.unlink(missing_ok=True)
        raise PromotionError(f"{config_file} cannot be changed ({exc}); nothing is promoted") from exc


def _note(promotion: Promotion, settings: NodeSettings) -> None:
    path = settings.node.data_dir / "weights" / HISTORY_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    line = {name: getattr(promotion, name) for name in Promotion.__dataclass_fields__}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
