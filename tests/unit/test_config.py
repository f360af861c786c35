import json
import stat
from pathlib import Path

import pytest

from seatrial.config import (
    ConfigError,
    RunningServer,
    all_settings,
    clear_running,
    load_credentials,
    load_or_create_credentials,
    load_settings,
    note_running,
    read_running,
)

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"


def write_toml(folder: Path, text: str, name: str = "server.toml") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_the_command_line_wins_over_the_environment_the_file_and_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_toml(tmp_path, 'port = 1\nregion = "eu-west-1"\nlog_level = "error"\n')
    monkeypatch.setenv("SEATRIAL_PORT", "2")
    monkeypatch.setenv("SEATRIAL_REGION", "eu-west-2")
    settings = load_settings({"data": str(tmp_path), "port": "3", "region": None})
    assert (settings.port, settings.region, settings.log_level) == (3, "eu-west-2", "error")
    assert settings.host == "127.0.0.1"


def test_a_named_file_replaces_the_one_in_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_toml(tmp_path, "port = 1")
    named = write_toml(tmp_path, f"port = 2\ndata = {json.dumps(str(tmp_path))}", "other.toml")
    assert load_settings({}, named).port == 2
    monkeypatch.setenv("SEATRIAL_CONFIG", str(named))
    assert load_settings({"data": str(tmp_path)}).port == 2


def test_clients_variables_are_not_mistaken_for_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEATRIAL_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("SEATRIAL_API_KEY", "st_key")
    assert load_settings({"data": str(tmp_path)}).port == 8400


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot = 1", "unknown setting 'prot'"),
        ("port = 70000", "server.toml: port"),
        ("port = [", "not a TOML file"),
        ('data = "elsewhere"', "cannot move it"),
        ('log_level = "loud"', "'debug', 'info', 'warning' or 'error'"),
    ],
)
def test_a_bad_file_is_one_clear_line(tmp_path: Path, text: str, said: str) -> None:
    write_toml(tmp_path, text)
    with pytest.raises(ConfigError) as refused:
        load_settings({"data": str(tmp_path)})
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_bad_value_names_where_it_came_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_toml(tmp_path, "port = 1")
    monkeypatch.setenv("SEATRIAL_PORT", "many")
    with pytest.raises(ConfigError, match=r"^SEATRIAL_PORT: "):
        load_settings({"data": str(tmp_path)})
    with pytest.raises(ConfigError, match=r"^--port: "):
        load_settings({"data": str(tmp_path), "port": "-1"})


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("https://Seatrial.example.com/", "https://seatrial.example.com"),
        ("http://[::1]:8400", "http://[::1]:8400"),
        *(
            (bad, None)
            for bad in ("seatrial.example.com", "ftp://x", "https://x/api", "https://u@x", "https://x:99999")
        ),
        *((bad, None) for bad in ("https://", "https://x?a", "https://x y", "http://x:0", "")),
    ],
)
def test_the_address_that_clients_see_is_an_address(given: str, taken: str | None) -> None:
    if taken is not None:
        assert load_settings({"public_url": given}).public_url == taken
        return
    with pytest.raises(ConfigError, match=r"public.url.*https://host"):
        load_settings({"public_url": given})


@pytest.mark.parametrize(
    ("host", "loopback"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("box", False)]
)
def test_loopback_is_known(host: str, loopback: bool) -> None:
    assert load_settings({"host": host}).is_loopback is loopback


def test_every_setting_is_described_and_documented() -> None:
    reference = REFERENCE.read_text()
    for setting in all_settings():
        assert setting.description, setting.name
        assert setting.unit, setting.name
        unit = setting.unit.replace("|", "\\|")  # which would end the cell
        row = f"| `{setting.name}` | `{setting.variable}` | {unit} | {setting.default} |"
        assert row in reference, f"{REFERENCE.name} lacks: {row} {setting.description} |"


def test_credentials_are_made_once_for_their_owner_only(tmp_path: Path) -> None:
    data = tmp_path / "data"
    made = load_or_create_credentials(data)
    assert made == load_or_create_credentials(data)
    assert stat.S_IMODE((data / "credentials.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert len(made.access_key_id) == 20
    assert made.access_key_id.startswith("ST")
    assert len(made.secret_access_key) == 40
    assert made.api_key.startswith("st_")
    assert made != load_or_create_credentials(tmp_path / "other")
    assert sorted(path.name for path in data.iterdir()) == ["credentials.json"]


def test_the_region_is_a_setting_and_no_secret(tmp_path: Path) -> None:
    load_or_create_credentials(tmp_path, "us-east-1")
    assert load_credentials(tmp_path, "eu-west-1").region == "eu-west-1"


def test_damaged_or_missing_credentials_are_said_and_never_replaced(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="seatrial serve"):
        load_credentials(tmp_path)
    file = tmp_path / "credentials.json"
    file.write_text("{")
    with pytest.raises(ConfigError, match="damaged"):
        load_or_create_credentials(tmp_path)
    assert file.read_text() == "{"


def test_a_running_server_is_noted_and_cleared(tmp_path: Path) -> None:
    server = RunningServer("http://127.0.0.1:1", 42, "us-east-1")
    note_running(tmp_path, server)
    assert read_running(tmp_path) == server
    clear_running(tmp_path)
    with pytest.raises(ConfigError, match="no server is running"):
        read_running(tmp_path)
