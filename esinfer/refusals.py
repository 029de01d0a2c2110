"""What keeps a server from starting: exceptions whose text is one line for whoever started it."""

from __future__ import annotations

from esinfer.config import ConfigError
from esinfer.replay.problems import RecordingError
from esinfer.security.credentials import CredentialsError
from esinfer.seed_file import SeedError
from esinfer.serving import StartError
from esinfer.stores.errors import StoreError
from esinfer.tls import TlsFileError

REFUSALS = (
    ConfigError,
    CredentialsError,
    RecordingError,
    SeedError,
    StartError,
    StoreError,
    TlsFileError,
)
