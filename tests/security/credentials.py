"""A credentials file with one caller of each kind, and the headers that they send."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

from esinfer.security.hashes import hash_key, hash_password

PASSWORD = "pass:word with a colon"
KEY = "AbCdEfGh1234567890_key"
TOKEN = "AbCdEfGh1234567890_token"


def write(folder: Path) -> Path:
    """The file; ``reader`` may read, ``manager`` manage, ``nobody`` neither."""
    path = folder / "credentials.toml"
    hashed, key, token = (
        hash_password(PASSWORD.encode()),
        hash_key(KEY.encode()),
        hash_key(TOKEN.encode()),
    )
    path.write_text(
        f"""
[users.reader]
password_hash = "{hashed}"
roles = ["read"]
[users.manager]
password_hash = "{hashed}"
roles = ["manage"]
[users.both]
password_hash = "{hashed}"
roles = ["read", "manage"]
[users.nobody]
password_hash = "{hashed}"
[api_keys.reader-key]
key_hash = "{key}"
user = "manager"
roles = ["read"]
[api_keys.manager-key]
key_hash = "{key}"
roles = ["manage"]
[tokens.ci]
token_hash = "{token}"
roles = ["read"]
"""
    )
    return path


def basic(user: str, password: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}


def api_key(key_id: str, key: str = KEY, scheme: str = "ApiKey") -> dict[str, str]:
    return {"Authorization": f"{scheme} {b64encode(f'{key_id}:{key}'.encode()).decode()}"}


def bearer(token: str = TOKEN) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
