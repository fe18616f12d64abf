"""Who may call: titles, addresses and certificates; what others are told."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from dicom_node.callers import Call, Caller, Rejection, is_known_address, refusal_of
from dicom_node.errors import SettingsError
from dicom_node.settings import load_settings

OWN = ("MEDVERSA", "AI2")
CT1 = Caller(ae_title="CT1", addresses=(ip_network("192.0.2.0/28"), ip_network("2001:db8::7")))
PACS = Caller(ae_title="PACS")
KEYED = Caller(ae_title="CT2", addresses=(ip_network("192.0.2.0/28"),), certificate_name="ct2.example")
CALLERS = (CT1, PACS, KEYED)
CALLING, CALLED = Rejection.CALLING_AE_TITLE_NOT_RECOGNISED, Rejection.CALLED_AE_TITLE_NOT_RECOGNISED


def answer(calling: str, called: str, address: str, *names: str) -> Rejection | None:
    refused = refusal_of(Call(calling, called, address, frozenset(names)), CALLERS, OWN)
    return None if refused is None else refused.rejection


def test_rejections_are_those_of_the_standard() -> None:
    # PS3.8 table 9-21: result 1 permanent, source 1 service user, reasons 3 and 7.
    assert (CALLING.value, CALLED.value) == ((1, 1, 3), (1, 1, 7))


@pytest.mark.parametrize(
    ("calling", "called", "address", "expected"),
    [
        ("CT1", "MEDVERSA", "192.0.2.1", None),
        ("CT1", "AI2", "192.0.2.15", None),
        ("CT1", "MEDVERSA", "::ffff:192.0.2.1", None),
        ("CT1", "MEDVERSA", "2001:db8::7", None),
        ("PACS", "MEDVERSA", "127.0.0.1", None),
        ("PACS", "MEDVERSA", "::1", None),
        ("CT1", "MEDVERSA", "192.0.2.16", CALLING),
        ("CT1", "MEDVERSA", "2001:db8::8", CALLING),
        ("CT1", "MEDVERSA", "127.0.0.1", CALLING),
        ("PACS", "MEDVERSA", "192.0.2.1", CALLING),
        ("ct1", "MEDVERSA", "192.0.2.1", CALLING),
        ("", "MEDVERSA", "192.0.2.1", CALLING),
        ("MEDVERSA", "MEDVERSA", "127.0.0.1", CALLING),
        ("CT1", "OTHER", "192.0.2.1", CALLED),
        ("CT1", "", "192.0.2.1", CALLED),
        ("CT9", "OTHER", "192.0.2.1", CALLING),
    ],
)
def test_titles_and_addresses_belong_together(
    calling: str, called: str, address: str, expected: Rejection | None
) -> None:
    assert answer(calling, called, address) is expected


def test_a_certificate_belongs_to_its_device() -> None:
    assert answer("CT2", "MEDVERSA", "192.0.2.1", "ct2.example") is None
    assert answer("CT2", "MEDVERSA", "192.0.2.1", "ct1.example") is CALLING
    assert answer("CT2", "MEDVERSA", "192.0.2.1") is CALLING
    assert answer("CT1", "MEDVERSA", "192.0.2.1", "ct2.example") is None


@pytest.mark.parametrize(
    ("address", "is_welcome"), [("127.0.0.9", True), ("::1", True), ("192.0.2.1", False)]
)
def test_without_callers_this_machine_is_welcome_and_no_other(address: str, is_welcome: bool) -> None:
    refused = refusal_of(Call("ANY", "MEDVERSA", address), (), OWN)

    assert (refused is None) is is_welcome
    assert is_known_address(address, ()) is is_welcome
    wrong = refusal_of(Call("ANY", "OTHER", "127.0.0.1"), (), OWN)
    assert wrong is not None
    assert wrong.rejection is CALLED


def test_addresses_of_callers_are_known_and_no_others() -> None:
    known = ("192.0.2.3", "2001:db8::7", "127.0.0.1")
    assert all(is_known_address(address, CALLERS) for address in known)
    assert not any(is_known_address(address, CALLERS) for address in ("192.0.2.99", "2001:db8::9"))


def test_callers_are_read_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text('[[node.callers]]\nae_title = "CT1"\naddresses = ["192.0.2.0/28", "2001:db8::7"]\n')

    assert load_settings(path, {}).node.callers == (CT1,)


@pytest.mark.parametrize("wrong", ["192.0.2.300", "ct1.example", "192.0.2.1/28"])
def test_what_is_no_network_is_told(tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "node.toml"
    path.write_text(f'[[node.callers]]\nae_title = "CT1"\naddresses = ["{wrong}"]\n')

    with pytest.raises(SettingsError, match=r"node\.callers\.0\.addresses"):
        load_settings(path, {})
