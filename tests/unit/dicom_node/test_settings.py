"""The configuration: what is read, from where, and how wrong ones are told."""

from pathlib import Path
from typing import get_args

import pytest

from dicom_node.errors import SettingsError
from dicom_node.section import Section
from dicom_node.settings import NodeSettings, Worker, load_settings
from model.precision import Precision


def written(folder: Path, text: str) -> Path:
    path = folder / "node.toml"
    path.write_text(text)
    return path


def test_defaults_need_no_file() -> None:
    settings = load_settings(None, {})

    assert (settings.node.ae_title, settings.node.host, settings.node.port) == (
        "MEDVERSA",
        "127.0.0.1",
        11112,
    )
    assert (settings.node.quiet_period_s, settings.priors.limit) == (20, 2)
    assert settings.broker.url == ""
    assert settings.node.database_url == f"sqlite:///{Path.cwd()}/medversa-data/node.sqlite"


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    text = '[node]\ndata_dir = "d"\n[[destinations]]\nname = "f"\nkind = "folder"\nfolder = "out"\n'
    settings = load_settings(written(tmp_path, text), {})

    assert settings.node.data_dir == tmp_path / "d"
    assert settings.node.database_url == f"sqlite:///{tmp_path}/d/node.sqlite"
    assert settings.destinations[0].folder == tmp_path / "out"


def test_environment_overrides_the_file(tmp_path: Path) -> None:
    environment = {
        "MEDVERSA_NODE_PORT": "104",
        "MEDVERSA_NODE_CALLED_AE_TITLES": "AI1,AI2",
        "MEDVERSA_BROKER_URL": "redis://localhost/0",
        "MEDVERSA_TEST_DATA": "/somewhere",
    }
    settings = load_settings(written(tmp_path, "[node]\nport = 11113\n"), environment)

    assert settings.node.port == 104
    assert settings.node.called_ae_titles == ("AI1", "AI2")
    assert settings.broker.url == "redis://localhost/0"


def test_file_may_be_named_by_the_environment(tmp_path: Path) -> None:
    path = written(tmp_path, '[node]\nae_title = "OTHER"\n')

    assert load_settings(None, {"MEDVERSA_CONFIG": str(path)}).node.ae_title == "OTHER"


def test_peers_are_called_by_our_own_title(tmp_path: Path) -> None:
    text = '[node]\nae_title = "AI1"\n[[query_retrieve]]\nname = "p"\nae_title = "PACS"\nport = 4242\n'

    assert load_settings(written(tmp_path, text), {}).query_retrieve[0].calling_ae_title == "AI1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[node]\nprot = 1\n", "unknown key node.prot"),
        ("[nodes]\n", "unknown key nodes"),
        ('[node]\nport = "eleven"\n', "node.port"),
        ("[node]\nport = 70000\n", "node.port"),
        ("[node]\nae_title = 'A TITLE THAT IS TOO LONG'\n", "node.ae_title"),
        ("[node]\nquiet_period_s = 0\n", "node.quiet_period_s"),
        ('[[destinations]]\nname = "x"\n', "needs ae_title and port"),
        ('[[destinations]]\nname = "x"\nkind = "folder"\n', "needs folder"),
        ('[[destinations]]\nname = "x"\nkind = "ftp"\n', "destinations.0.kind"),
        ('[[destinations]]\nname="x"\nkind="folder"\nfolder="a"\n' * 2, "same name"),
        ("[node\n", "not a TOML file"),
    ],
)
def test_wrong_configuration_is_told_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(written(tmp_path, text), {})

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "node.toml" in str(caught.value)


def test_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(tmp_path / "none.toml", {})


def test_unknown_key_in_the_environment_is_told() -> None:
    with pytest.raises(SettingsError, match=r"node\.prot"):
        load_settings(None, {"MEDVERSA_NODE_PROT": "1"})


def test_every_field_is_documented() -> None:
    def sections(model: type[Section]) -> set[type[Section]]:
        return {model}.union(*(sections(sub) for sub in model.__subclasses__()))

    fields = {
        f"{model.__name__}.{name}": field
        for model in sections(Section)
        for name, field in model.model_fields.items()
    }

    assert len(fields) > 30
    assert [name for name, field in fields.items() if not field.description] == []


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        NodeSettings().node.port = 1


def test_precision_is_one_that_the_model_knows(tmp_path: Path) -> None:
    offered = get_args(Worker.model_fields["precision"].annotation)

    assert set(offered) == {str(precision) for precision in Precision}
    with pytest.raises(SettingsError, match=r"worker\.precision"):
        load_settings(written(tmp_path, '[worker]\nprecision = "int3"\n'), {})
