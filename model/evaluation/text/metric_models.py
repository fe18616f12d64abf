"""Where the models and tables of text metrics lie, and what to do where one is not there."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

from model.errors import MetricError, NotComputedError
from model.evaluation.text.bertscore import DISTILROBERTA, ROBERTA_LARGE, Setting, TokenMatcher
from model.evaluation.text.chexbert import Chexbert
from model.evaluation.text.radgraph import Annotations
from model.evaluation.text.umls import Names, read_names

TABLE = "metric_models"
"""Name of the table in a TOML file."""


@dataclass(frozen=True, slots=True)
class ModelPaths:
    """None for what is not at hand."""

    distilroberta: Path | None = None
    """Folder of distilroberta-base with `model.safetensors`, as its publishers lay it out."""
    roberta_large: Path | None = None
    """Folder of roberta-large with `model.safetensors`, as its publishers lay it out."""
    chexbert: Path | None = None
    """Folder that `chexbert_conversion` wrote."""
    radgraph: Path | None = None
    """JSON file with the annotations of all predictions and references."""
    umls: Path | None = None
    """MRCONSO.RRF, or a table of concept, tab, name."""


_WHENCE: Mapping[str, tuple[str, str]] = {
    "distilroberta": (
        "the encoder distilroberta-base as safetensors",
        "huggingface.co/distilbert/distilroberta-base (config.json, model.safetensors, tokenizer files)",
    ),
    "roberta_large": (
        "the encoder roberta-large as safetensors",
        "huggingface.co/FacebookAI/roberta-large (config.json, model.safetensors, tokenizer files)",
    ),
    "chexbert": (
        "CheXbert",
        "github.com/stanfordmlgroup/CheXbert (chexbert.pth), converted by "
        "`python -m model.evaluation.text.chexbert_conversion`",
    ),
    "radgraph": (
        "RadGraph's annotations of all predictions and references",
        "package radgraph: `json.dump(RadGraph(model_type='radgraph')(texts), file)`, all texts in one call",
    ),
    "umls": (
        "a table of UMLS names",
        "the UMLS Metathesaurus of the National Library of Medicine (MRCONSO.RRF, or concept, tab, name)",
    ),
}
"""What each path is for, and where to get it."""


def paths_from_toml(path: Path) -> ModelPaths:
    """Read table `metric_models`; relative paths are from the file's folder.

    Raises:
        MetricError: the file is not TOML; see `paths_from`.
    """
    try:
        table: Mapping[str, object] = tomllib.loads(path.read_text(encoding="utf-8")).get(TABLE, {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise MetricError(f"{path.name} is not TOML") from exc
    return paths_from(table, path.parent)


def paths_from(table: Mapping[str, object], folder: Path) -> ModelPaths:
    """Check names and values; relative paths are from `folder`.

    Raises:
        MetricError: there is a name that no metric knows, or a value that is no path.
    """
    known = {field.name for field in fields(ModelPaths)}
    if wrong := sorted(
        name for name, value in table.items() if name not in known or not isinstance(value, str)
    ):
        raise MetricError(f"{TABLE} takes paths for {', '.join(sorted(known))}; not {', '.join(wrong)}")
    return ModelPaths(**{name: folder / str(value) for name, value in table.items()})


class MetricModels:
    """Opens each model once, when the first metric asks for it.

    Raises, when asked:
        NotComputedError: its path was not given or does not exist.
        WeightsError, MetricError: what is there is not readable.
    """

    def __init__(self, paths: ModelPaths, device: str = "cpu") -> None:
        self._paths = paths
        self._device = device

    @cached_property
    def distilroberta(self) -> TokenMatcher:
        """What compares tokens for BERTScore as RadCliQ has it."""
        return self._matcher("distilroberta", DISTILROBERTA)

    @cached_property
    def roberta_large(self) -> TokenMatcher:
        """What compares tokens for BERTScore as its package has it for English."""
        return self._matcher("roberta_large", ROBERTA_LARGE)

    @cached_property
    def chexbert(self) -> Chexbert:
        """The labeler."""
        return Chexbert(self._path("chexbert", "model.safetensors"), self._device)

    @cached_property
    def radgraph(self) -> Annotations:
        """The graphs of texts."""
        return Annotations(self._path("radgraph"))

    @cached_property
    def umls(self) -> Names:
        """The names of concepts."""
        return read_names(self._path("umls"))

    def _matcher(self, name: str, setting: Setting) -> TokenMatcher:
        return TokenMatcher(self._path(name, "model.safetensors"), setting, self._device)

    def _path(self, name: str, holds: str = "") -> Path:
        path: Path | None = getattr(self._paths, name)
        if path is None or not (path / holds).exists():
            what, whence = _WHENCE[name]
            fault = "" if path is None else f" ({path.name}{'/' * bool(holds)}{holds} is not there)"
            raise NotComputedError(
                f"needs {what}{fault}; get it from {whence}; give its path as `{name}` of table [{TABLE}]"
            )
        return path
