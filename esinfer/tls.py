"""The server's side of TLS: certificate, key and the CAs of clients, read once at the start.

``ssl`` is loaded by whoever asks for TLS; TLS 1.2 is the least, HTTP/1.1 all
that is offered.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl


class TlsFileError(Exception):
    """TLS cannot be set up; the text is one line that says which file is wrong and how."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem if problem.isprintable() else ascii(problem)[1:-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Paths of PEM files; an empty one is none. With a client CA a client must prove itself."""

    certificate: str
    key: str = ""
    key_password: str = field(default="", repr=False)
    client_ca: str = ""


def make_context(files: TlsFiles) -> ssl.SSLContext | None:
    """What to serve with, None for plain HTTP. Raises TlsFileError."""
    if not files.certificate:
        if files.key or files.client_ca:
            raise TlsFileError("server.key and server.client_ca need a server.certificate")
        return None
    import ssl  # noqa: PLC0415 -- only for those who serve over TLS

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    _load_chain(context, files)
    if files.client_ca:
        _load_client_ca(context, files.client_ca)
    return context


def _load_chain(context: ssl.SSLContext, files: TlsFiles) -> None:
    import ssl  # noqa: PLC0415 -- as above

    key = files.key or files.certificate
    _check_readable("server.certificate", files.certificate)
    _check_readable("server.key", key)
    try:
        # A callable, or OpenSSL asks the terminal for a password that is missing.
        context.load_cert_chain(files.certificate, key, lambda: files.key_password)
    except ssl.SSLError as error:
        raise TlsFileError(_chain_problem(files.certificate, key, error)) from None
    except (OSError, ValueError) as error:
        problem = f"server.key {key}: the password is wrong, or the file is no PEM private key"
        raise TlsFileError(problem) from error


def _chain_problem(certificate: str, key: str, error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"server.key {key}: the key does not belong to server.certificate {certificate}"
    if error.reason in ("EE_KEY_TOO_SMALL", "CA_MD_TOO_WEAK", "CA_KEY_TOO_SMALL"):
        return f"server.certificate {certificate}: too weak for OpenSSL: {error.reason}"
    if not _is_certificate(certificate):
        return f"server.certificate {certificate}: no certificates in PEM form"
    return f"server.key {key}: the password is wrong, or the file is no PEM private key"


def _is_certificate(path: str) -> bool:
    import ssl  # noqa: PLC0415 -- as above

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(path)
    except ssl.SSLError:
        return False
    return True


def _load_client_ca(context: ssl.SSLContext, path: str) -> None:
    import ssl  # noqa: PLC0415 -- as above

    _check_readable("server.client_ca", path)
    try:
        context.load_verify_locations(path)
    except ssl.SSLError:
        raise TlsFileError(f"server.client_ca {path}: no certificates in PEM form") from None
    context.verify_mode = ssl.CERT_REQUIRED


def _check_readable(setting: str, path: str) -> None:
    """OpenSSL's own words for a missing file do not say which."""
    try:
        with Path(path).open("rb"):
            pass
    except OSError as error:
        reason = os.strerror(error.errno or errno.EIO)
        raise TlsFileError(f"{setting} {path}: cannot read the file: {reason}") from error
    except ValueError as error:
        raise TlsFileError(f"{setting}: not the name of a file") from error
