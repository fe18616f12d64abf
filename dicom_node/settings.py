"""The configuration: one TOML file plus environment variables, frozen; read in composition roots only.

`MEDVERSA_<SECTION>_<FIELD>` overrides a field of `[node]`, `[web]`, `[broker]`, `[priors]`, `[retention]` or
`[worker]`, for example `MEDVERSA_NODE_PORT=11113`. `MEDVERSA_CONFIG` names the file where `--config` does
not. Relative paths in the file are relative to the file.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from dicom_node.callers import Caller
from dicom_node.completion_settings import Completion
from dicom_node.errors import SettingsError
from dicom_node.modality_settings import Modality
from dicom_node.orders.settings import Worklist
from dicom_node.proof_settings import ProofOfDelivery
from dicom_node.retention.settings import Retention
from dicom_node.rules.settings import Rule, check_rules
from dicom_node.section import AETitle, Count, Name, Port, Seconds, Section
from dicom_node.tls import Tls
from dicom_node.web.settings import Web

ENVIRONMENT_PREFIX = "MEDVERSA_"
OVERRIDABLE_SECTIONS = ("node", "web", "broker", "priors", "retention", "worker")
LISTS = ("allowed_origins", "called_ae_titles", "retry_after_s", "sources")
"""Fields of which the environment gives the values separated by commas."""
DATABASE_FILE = "node.sqlite"
PATHS = {
    "destinations": ("folder", "authorization_file", "ca_file"),
    "dicomweb": ("authorization_file", "ca_file"),
    "orthanc": ("authorization_file", "ca_file"),
    "tls": ("certificate_file", "key_file", "ca_file", "crl_file"),
    "web": ("certificate_file", "key_file", "client_ca_file"),
}
"""Fields of each table that are paths."""
DICOM_PEERS = ("destinations", "modalities", "worklists", "query_retrieve")
"""Tables of systems that we call."""
MAY_USE_TLS = ("node", *DICOM_PEERS)
OWN_STORE = "local"
"""Name of the node's own store among the sources of priors."""


class Node(Section):
    """`[node]`: who the node is, where it listens and where it keeps things."""

    ae_title: AETitle = "MEDVERSA"
    """Our AE title; an association that calls another one is rejected. Default MEDVERSA."""
    host: str = "127.0.0.1"
    """Address to listen on. Default 127.0.0.1: this machine only."""
    port: Port = 11112
    """TCP port of the DICOM listener. Default 11112."""
    data_dir: Path = Path("medversa-data")
    """Folder of spool, results and database. Default medversa-data."""
    database_url: str = ""
    """SQLAlchemy URL of the index. Default: SQLite in data_dir."""
    quiet_period_s: Seconds = 20.0
    """Seconds without a new instance after which a study is complete, until learned (completion.learn).
    Default 20."""
    receivers: Annotated[int, Field(ge=0, le=64)] = 0
    """Processes that receive, side by side on the one port. Default 0: one for each processor, 4 at most."""
    called_ae_titles: tuple[AETitle, ...] = ()
    """Further AE titles by which we may be called. Default: none."""
    callers: tuple[Caller, ...] = ()
    """`[[node.callers]]`: who may call. Default empty: any from this machine, none from elsewhere."""
    tls: Tls | None = None
    """true: the port speaks TLS and nothing else, as `[tls]` says. Default: it does not."""
    max_associations: Count = 64
    """Associations served at once. Default 64."""
    max_associations_per_peer: Count = 16
    """Connections from one address at once. Default 16."""
    max_pdu_bytes: Annotated[int, Field(ge=4096, le=1 << 20)] = 1 << 17
    """Largest P-DATA-TF that we offer to receive, in bytes. Default 131072."""
    network_timeout_s: Seconds = 60.0
    """Seconds of silence after which an association is aborted. Default 60."""
    min_free_bytes: Annotated[int, Field(ge=0)] = 512 << 20
    """Free disk space in bytes below which C-STORE is answered 0xA700. Default 512 MiB."""
    low_free_bytes: Annotated[int, Field(ge=0)] = 0
    """Free disk space in bytes below which calls that would bring instances are rejected for the time being,
    so that what others are sending still fits. Default 0: none is."""

    @model_validator(mode="after")
    def _certificates_are_shown(self) -> Self:
        if self.tls is None and any(caller.certificate_name for caller in self.callers):
            raise ValueError("certificate_name of a caller needs tls = true: no certificate is shown without")
        return self

    @model_validator(mode="before")
    @classmethod
    def _default_database(cls, values: Any) -> Any:
        if not isinstance(values, Mapping) or values.get("database_url"):
            return values
        folder = Path(str(values.get("data_dir", cls.model_fields["data_dir"].default)))
        return {**values, "database_url": f"sqlite:///{folder / DATABASE_FILE}"}


class Broker(Section):
    """`[broker]`: how jobs reach workers."""

    url: str = ""
    """Broker URL, e.g. redis://127.0.0.1:6379/0. Default empty: folders under data_dir, no server needed."""


class Destination(Section):
    """`[[destinations]]`: where results go."""

    name: Name
    """Name in `status` and logs; unique."""
    kind: Literal["dicom", "dicomweb", "folder"] = "dicom"
    """`dicom` sends by C-STORE, `dicomweb` by STOW-RS, `folder` writes files. Default dicom."""
    ae_title: AETitle | None = None
    """AE title of the destination (kind dicom)."""
    host: str = "127.0.0.1"
    """Its address (kind dicom). Default 127.0.0.1."""
    port: Port | None = None
    """Its TCP port (kind dicom)."""
    url: Annotated[str, Field(pattern="^https?://")] | None = None
    """Its base URL, what `studies` follows on (kind dicomweb)."""
    authorization_file: Path | None = None
    """File with the value of the Authorization header, e.g. `Bearer …` (kind dicomweb). Default: none."""
    ca_file: Path | None = None
    """PEM file of the authorities that may have signed its certificate (kind dicomweb). Default: well-known
    ones."""
    folder: Path | None = None
    """Where files go (kind folder)."""
    calling_ae_title: AETitle = "MEDVERSA"
    """How we call ourselves there. Default: our own AE title."""
    timeout_s: Seconds = 30.0
    """Seconds to wait for a connection or an answer. Default 30."""
    tls: Tls | None = None
    """true: it is called over TLS, as `[tls]` says. Default: without."""
    profile: Literal[
        "auto",
        "air",
        "full",
        "label-map",
        "ohif",
        "ohif-edit",
        "stone",
        "legacy-gsps",
        "legacy-sc",
        "legacy-pdf",
    ] = "air"
    """Which objects it gets: air (SR, SEG, GSPS), full (also narrative SR and key images), label-map (air,
    and masks as a label map if it stores those), ohif, ohif-edit (boxes that a reader of OHIF may edit),
    stone, legacy-gsps (no SEG), legacy-sc (pictures), legacy-pdf (a document; name a PACS twice to send it
    two profiles); auto asks it which it stores. Default air."""
    proof: ProofOfDelivery = ProofOfDelivery()
    """What besides its answers shows that it keeps the results."""

    @model_validator(mode="after")
    def _has_address(self) -> Self:
        if self.kind == "dicom" and (self.ae_title is None or self.port is None):
            raise ValueError("a destination of kind dicom needs ae_title and port")
        if self.kind == "dicomweb" and self.url is None:
            raise ValueError("a destination of kind dicomweb needs url")
        if self.kind == "folder" and self.folder is None:
            raise ValueError("a destination of kind folder needs folder")
        if self.proof.by == "commitment" and None in (
            self.proof.ae_title or self.ae_title,
            self.proof.port or self.port,
        ):
            raise ValueError("proof by commitment needs ae_title and port")
        return self

    @property
    def web_peer(self) -> "WebPeer":
        """The server of a destination of kind dicomweb."""
        return WebPeer(
            name=self.name,
            url=self.url or "",
            authorization_file=self.authorization_file,
            ca_file=self.ca_file,
            timeout_s=self.timeout_s,
        )


class QueryRetrieve(Section):
    """`[[query_retrieve]]`: a PACS that is asked for priors by C-FIND and C-GET or C-MOVE."""

    name: Name
    """Name in results, `status` and logs; unique."""
    ae_title: AETitle
    """AE title of the PACS."""
    host: str = "127.0.0.1"
    """Its address. Default 127.0.0.1."""
    port: Port
    """Its TCP port."""
    calling_ae_title: AETitle = "MEDVERSA"
    """How we call ourselves there. Default: our own AE title."""
    timeout_s: Seconds = 30.0
    """Seconds to wait for a connection or an answer. Default 30."""
    tls: Tls | None = None
    """true: it is called over TLS, as `[tls]` says. Default: without."""
    budget_s: Seconds = 60.0
    """Seconds that it may take for one search for priors, asking and fetching together. Default 60."""
    retrieve: Literal["auto", "get", "move"] = "auto"
    """How studies are fetched: get (C-GET), move (C-MOVE to our own AE title), auto (C-GET, and C-MOVE
    where it brings nothing). Default auto."""


class WebPeer(Section):
    """`[[dicomweb]]` and `[[orthanc]]`: a server that is asked for priors by QIDO-RS and WADO-RS (PS3.18),
    or by Orthanc's REST interface."""

    name: Name
    """Name in results, `status` and logs; unique among all sources."""
    url: Annotated[str, Field(pattern="^https?://")]
    """Base URL: of DICOMweb what `studies` follows on, of Orthanc its root."""
    authorization_file: Path | None = None
    """File with the value of the Authorization header, e.g. `Bearer …`. Default: none is sent."""
    ca_file: Path | None = None
    """PEM file of the authorities that may have signed the server's certificate. Default: well-known ones."""
    timeout_s: Seconds = 30.0
    """Seconds to wait for a connection or for more of an answer. Default 30."""
    budget_s: Seconds = 60.0
    """Seconds that it may take for one search for priors, asking and fetching together. Default 60."""


class Priors(Section):
    """`[priors]`: how hard earlier studies are looked for."""

    limit: Annotated[int, Field(ge=0, le=10)] = 2
    """Most priors given to the model. Default 2."""
    budget_s: Seconds = 120.0
    """Seconds for the whole search; what it leaves undone is noted in the result. Default 120."""
    sources: tuple[str, ...] = ()
    """Names of the sources in the order in which they are asked; the node's own store is `local`. Default
    empty: the own store, then query_retrieve, dicomweb and orthanc, each as in the file."""


class Worker(Section):
    """`[worker]`: how studies are read."""

    weights: str = "medversa-demo"
    """Name of shipped weights, or a folder with others. Default medversa-demo."""
    device: Literal["auto", "cpu", "cuda"] | str = "auto"
    """Where the model runs: auto, cpu, cuda or cuda:N. Default auto."""
    precision: Literal["auto", "float32", "bfloat16", "int8", "int4"] = "auto"
    """How the language model's weights are kept. Default auto: float32 below a billion parameters, else
    bfloat16. int8 and int4 trade exactness for memory; int4 needs medversa-node[quantized]."""
    lease_s: Seconds = 60.0
    """Seconds for which a worker holds a job without renewing. Default 60."""
    max_attempts: Count = 3
    """How often a reading is started before the job fails. Default 3."""
    retry_after_s: tuple[Seconds, ...] = (10.0, 60.0, 300.0, 900.0)
    """Seconds to wait after the first, second, … try at reading or delivering; the last stands for all
    further tries. Default 10, 60, 300, 900."""
    time_limit_s: Seconds = 1800.0
    """Seconds after which a reading is stopped. Default 1800."""


class NodeSettings(Section):
    """The whole configuration."""

    node: Node = Field(default_factory=Node)
    """The node itself."""
    web: Web = Web()
    """Its DICOMweb server."""
    completion: Completion = Completion()
    """When a study is complete."""
    broker: Broker = Broker()
    """The queue."""
    destinations: tuple[Destination, ...] = ()
    """Where results go; none: they stay in data_dir."""
    modalities: tuple[Modality, ...] = ()
    """Senders that are reported to on associations of ours."""
    worklists: tuple[Worklist, ...] = ()
    """Who is asked for the order behind a study, in this order."""
    query_retrieve: tuple[QueryRetrieve, ...] = ()
    """Where priors are asked for besides the node's own store."""
    dicomweb: tuple[WebPeer, ...] = ()
    """DICOMweb servers that are asked too."""
    orthanc: tuple[WebPeer, ...] = ()
    """Orthancs that are asked over their REST interface."""
    tls: Tls | None = None
    """Our certificate, for the node and the peers that say `tls = true`."""
    priors: Priors = Priors()
    """The search for priors."""
    retention: Retention = Retention()
    """How long studies are kept."""
    rules: tuple[Rule, ...] = ()
    """Which studies are read, and how: the first rule that fits decides. None: every study is, in full."""
    worker: Worker = Worker()
    """The workers."""

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        for kind, names in (
            ("destinations", [entry.name for entry in self.destinations]),
            ("sources of priors", [OWN_STORE, *self._peers()]),
        ):
            if len(set(names)) < len(names):
                raise ValueError(f"two {kind} have the same name")
        return self

    @model_validator(mode="after")
    def _sources_are_known(self) -> Self:
        known = (OWN_STORE, *self._peers())
        for name in self.priors.sources:
            if name not in known:
                raise ValueError(f"priors.sources names {name}; there are {', '.join(known)}")
        return self

    @model_validator(mode="after")
    def _counting_archive_is_known(self) -> Self:
        if self.completion.count_at not in ("", *(peer.name for peer in self.query_retrieve)):
            raise ValueError(f"completion.count_at names {self.completion.count_at}, no query_retrieve")
        return self

    @model_validator(mode="after")
    def _read_back_is_possible(self) -> Self:
        for destination in self.destinations:
            own = [destination.name] if destination.kind == "dicomweb" else []
            if destination.proof.source not in (None, *self._peers(), *own):
                raise ValueError(f"destinations.proof.source names {destination.proof.source}, no source")
        return self

    @model_validator(mode="after")
    def _rules_can_be_meant(self) -> Self:
        check_rules(self.rules, [destination.name for destination in self.destinations])
        return self

    def _peers(self) -> list[str]:
        """Name the sources of priors other than the own store."""
        return [peer.name for peer in (*self.query_retrieve, *self.dicomweb, *self.orthanc)]

    def with_own_store_only(self) -> Self:
        """Return the same settings, with which nobody else is asked for priors."""
        return self.model_copy(update={"priors": self.priors.model_copy(update={"sources": (OWN_STORE,)})})


def load_settings(path: Path | None, environment: Mapping[str, str] | None = None) -> NodeSettings:
    """Read the configuration; without a file, defaults and environment alone.

    Raises:
        SettingsError: the file is missing or no TOML, a key is unknown, or a value does not fit.
    """
    environment = os.environ if environment is None else environment
    if path is None and (named := environment.get(f"{ENVIRONMENT_PREFIX}CONFIG")):
        path = Path(named)
    values = _read_file(path) if path is not None else {}
    _override(values, environment)
    _share_tls(values)
    _resolve_paths(values, Path.cwd() if path is None else path.resolve().parent)
    _name_ourselves(values)
    try:
        return NodeSettings.model_validate(values)
    except ValidationError as exc:
        raise SettingsError(_one_line(exc, path)) from exc


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise SettingsError(
            f"{path}: cannot be read ({exc.strerror}); write it or leave out --config"
        ) from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise SettingsError(f"{path}: not a TOML file: {exc}") from exc


def _override(values: dict[str, Any], environment: Mapping[str, str]) -> None:
    for section in OVERRIDABLE_SECTIONS:
        prefix = f"{ENVIRONMENT_PREFIX}{section.upper()}_"
        for variable, text in environment.items():
            if variable.startswith(prefix):
                field = variable.removeprefix(prefix).lower()
                table = values.setdefault(section, {})
                if isinstance(table, dict):
                    table[field] = tuple(filter(None, text.split(","))) if field in LISTS else text


def _resolve_paths(values: dict[str, Any], folder: Path) -> None:
    """Make relative paths absolute, so that node and worker agree wherever they are started."""
    node = values.setdefault("node", {})
    if isinstance(node, dict):
        node["data_dir"] = str(folder / str(node.get("data_dir", Node.model_fields["data_dir"].default)))
    for key, fields in PATHS.items():
        own = [entry for peers in MAY_USE_TLS for entry in _tables(values, peers)] if key == "tls" else []
        for entry in (*_tables(values, key), *(nested for peer in own for nested in _tables(peer, key))):
            for field in fields:
                if isinstance(entry.get(field), str):
                    entry[field] = str(folder / entry[field])


def _tables(values: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """Return the tables of a kind, as far as they are tables: what is not is told by validation."""
    found = values.get(key)
    return [entry for entry in (found if isinstance(found, list) else [found]) if isinstance(entry, dict)]


def _share_tls(values: dict[str, Any]) -> None:
    """Replace `tls = true` by the table that it means; what a peer says of its own stands over that."""
    shared = _tables(values, "tls")
    for entry in (entry for key in MAY_USE_TLS for entry in _tables(values, key)):
        own = entry.pop("tls", False)
        if isinstance(own, dict) or str(own).lower() == "true":
            if not shared:
                raise SettingsError(
                    "tls = true needs a table [tls] with certificate_file, key_file and ca_file"
                )
            entry["tls"] = {**shared[0], **(own if isinstance(own, dict) else {})}
        elif str(own).lower() != "false":
            entry["tls"] = own


def _name_ourselves(values: dict[str, Any]) -> None:
    node = values.get("node")
    own = node.get("ae_title") if isinstance(node, dict) else None
    if own is None:
        return
    for key in DICOM_PEERS:
        for entry in _tables(values, key):
            entry.setdefault("calling_ae_title", own)


def _one_line(exc: ValidationError, path: Path | None) -> str:
    error = exc.errors(include_url=False, include_input=False)[0]
    key = ".".join(str(part) for part in error["loc"])
    where = "environment" if path is None else str(path)
    more = f" (and {exc.error_count() - 1} more)" if exc.error_count() > 1 else ""
    if error["type"] == "extra_forbidden":
        return (
            f"{where}: unknown key {key}; chapter 4.4 of `medversa-node conformance-statement` has all{more}"
        )
    return f"{where}: {key or 'file'}: {error['msg']}{more}"
