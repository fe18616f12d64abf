"""A folder of weights: what lies in it, what `config.json` says about it, and that no file was altered.

config.json                 family, generation, sizes, where the language model lies, hash of every file
model.safetensors           vision and heads under published names; or shards and their index
language_model/             a Llama as `transformers` writes it; may lie elsewhere
adapter/                    its LoRA as `peft` writes it; not there if it was merged
tokenizer.json              as `tokenizers` writes it
generation_config.json      as `transformers` writes it
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from model.errors import WeightsError

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
TOKENIZER_FILE = "tokenizer.json"
GENERATION_FILE = "generation_config.json"
LANGUAGE_MODEL = "language_model"
ADAPTER = "adapter"
_HASHED = ("*.safetensors", "*.json")
_CHUNK = 1 << 24

Progress = Callable[[str, int, int], None]
"""Is told a file, how many of its bytes are done, and how many there are."""


def unseen(file: str, done: int, total: int) -> None:
    """Show no progress."""


@dataclass(frozen=True, slots=True)
class WeightsConfig:
    """What `config.json` says."""

    family: str
    name: str
    """E.g. `medversa-demo`."""
    version: str
    demo_weights: bool
    """True for weights that were trained on phantoms only."""
    sizes: Mapping[str, Any]
    """Fields of the family's sizes."""
    generation: str = "v0"
    preset: str = ""
    language_model: str = LANGUAGE_MODEL
    """Folder of the language model, from the folder of the weights."""
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    """sha256 of every other file, by its path from here; those of the language model under
    `language_model/`, wherever it lies."""
    weights_sha256: str = ""
    """Of the lines `<sha256>  <path>` of all files, in order of path: identifies the whole."""
    yes_temperature: float = 1.0
    training: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """How the weights were made: seeds, steps, source revision, library versions; or what from."""
    evaluation: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Figures on held-out phantoms; not clinical."""

    def path_of(self, folder: Path, name: str) -> Path:
        """Find a file that `files` names."""
        inside, _, rest = name.partition("/")
        return folder / self.language_model / rest if inside == LANGUAGE_MODEL else folder / name


def write_config(folder: Path, config: WeightsConfig) -> None:
    """Write `config.json`, in the form by which model hubs recognise a model."""
    hub = {"model_type": config.family, "architectures": ["MedVersaNetwork"]}
    text = json.dumps({**hub, **asdict(config)}, indent=1) + "\n"
    (folder / CONFIG_FILE).write_text(text, encoding="utf-8")


def read_config(folder: Path) -> WeightsConfig:
    """Read `config.json`; what others added to it is left alone.

    Raises:
        WeightsError: it is missing, is not JSON or lacks a field.
    """
    try:
        said = read_json(folder / CONFIG_FILE)
        return WeightsConfig(**{f.name: said[f.name] for f in fields(WeightsConfig) if f.name in said})
    except FileNotFoundError as exc:
        raise WeightsError(f"no {CONFIG_FILE} in the folder of weights") from exc
    except TypeError as exc:
        raise WeightsError(f"{CONFIG_FILE} does not describe weights: {exc}") from exc


def has_config(folder: Path) -> bool:
    """Whether `config.json` is ours; a released checkpoint may have one of its language model, or none."""
    path = folder / CONFIG_FILE
    return path.is_file() and "family" in read_json(path)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        WeightsError: the file holds something else.
        FileNotFoundError: there is no such file.
    """
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as exc:
        raise WeightsError(f"{path.name} is not readable as JSON: {exc}") from exc
    if not isinstance(said, dict):
        raise WeightsError(f"{path.name} is not a JSON object")
    return said


def with_hashes(folder: Path, config: WeightsConfig, progress: Progress = unseen) -> WeightsConfig:
    """Hash every file that makes the weights."""
    paths = dict(_files(folder, config))
    hashes = {name: sha256_of(path, progress) for name, path in sorted(paths.items())}
    return replace(config, files=hashes, weights_sha256=hash_of_hashes(hashes))


def check_hashes(folder: Path, config: WeightsConfig, progress: Progress = unseen) -> None:
    """Compare every file with the hashes of `config.json`.

    Raises:
        WeightsError: a file is missing, altered or not accounted for.
    """
    for problem in altered(folder, config, progress):
        raise WeightsError(problem)


def altered(folder: Path, config: WeightsConfig, progress: Progress = unseen) -> Iterator[str]:
    """Say of each file what is wrong with it, if anything is."""
    if hash_of_hashes(config.files) != config.weights_sha256:
        yield f"weights_sha256 of {CONFIG_FILE} is not that of its list of files"
    for name, expected in config.files.items():
        path = config.path_of(folder, name)
        if not path.is_file():
            yield f"no {name} in the folder of weights"
        elif (found := sha256_of(path, progress)) != expected:
            yield f"{name} is altered: sha256 is {found}, {CONFIG_FILE} says {expected}"
    for name, _ in _files(folder, config):
        if name not in config.files:
            yield f"{name} is not among the files of {CONFIG_FILE}"


def _files(folder: Path, config: WeightsConfig) -> Iterator[tuple[str, Path]]:
    """Every file that is hashed, by the name under which it is."""
    places = (("", folder), (f"{ADAPTER}/", folder / ADAPTER))
    for start, place in (*places, (f"{LANGUAGE_MODEL}/", folder / config.language_model)):
        for pattern in _HASHED:
            for path in place.glob(pattern):
                if path != folder / CONFIG_FILE:
                    yield start + path.name, path


def sha256_of(path: Path, progress: Progress = unseen) -> str:
    """Hash one file."""
    digest, total = hashlib.sha256(), path.stat().st_size
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            progress(path.name, file.tell(), total)
    return digest.hexdigest()


def hash_of_hashes(hashes: Mapping[str, str]) -> str:
    """Hash what `sha256sum` would print about the files, in order of their paths."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(hashes.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
