"""How a server is set up: its settings, its credentials, and the note that says where it runs."""

from seatrial.config.credentials import CREDENTIALS_FILE, load_credentials, load_or_create_credentials
from seatrial.config.errors import ConfigError
from seatrial.config.running import RunningServer, clear_running, note_running, read_running
from seatrial.config.settings import CONFIG_FILE, Setting, Settings, all_settings, load_settings

__all__ = [
    "CONFIG_FILE",
    "CREDENTIALS_FILE",
    "ConfigError",
    "RunningServer",
    "Setting",
    "Settings",
    "all_settings",
    "clear_running",
    "load_credentials",
    "load_or_create_credentials",
    "load_settings",
    "note_running",
    "read_running",
]
