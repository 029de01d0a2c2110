"""HTTPS: what is served with which files, and what is said of files that will not do."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from elastic_transport import ConnectionError as Unreachable
from elasticsearch import AsyncElasticsearch

from esinfer.tls import TlsFileError, TlsFiles, make_context

ROOT = Path(__file__).parent.parent
PASSWORD = "pem-pass-7315-word"


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of PEM files: a CA, its server and client, a server of another, a locked key."""
    folder = tmp_path_factory.mktemp("pem")
    ca, other = trustme.CA(), trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    other.cert_pem.write_to_path(folder / "other-ca.pem")
    for authority, name in ((ca, "server"), (ca, "client"), (other, "other")):
        issued = authority.issue_cert("localhost", "127.0.0.1")
        issued.private_key_pem.write_to_path(folder / f"{name}.key")
        issued.private_key_and_cert_chain_pem.write_to_path(folder / f"{name}.both.pem")
        for blob in issued.cert_chain_pems:
            blob.write_to_path(folder / f"{name}.crt", append=True)
    key = serialization.load_pem_private_key((folder / "server.key").read_bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(PASSWORD.encode()),
    )
    (folder / "locked.key").write_bytes(locked)
    (folder / "junk.pem").write_text("no PEM")
    write_weak(folder)
    return folder


def write_weak(folder: Path) -> None:
    """A certificate of a key that is too short for our days."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 -- just that
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "weak")])
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "weak.crt").write_bytes(certificate.public_bytes(pem))
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    (folder / "weak.key").write_bytes(key.private_bytes(pem, form, plain))


@asynccontextmanager
async def running(command: str, *settings: str) -> AsyncIterator[str]:
    """A server in a process of its own until the block is left; its started line."""
    options = [part for setting in settings for part in ("--set", setting)]
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "esinfer", command, "--port", "0", *options),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    assert child.stdout is not None
    try:
        async with asyncio.timeout(30):
            yield (await child.stdout.readline()).decode().strip()
    finally:
        with suppress(ProcessLookupError):
            child.terminate()
        await child.wait()


def serves(pem: Path, key: str = "server.key") -> tuple[str, ...]:
    return (f"server.certificate={pem / 'server.crt'}", f"server.key={pem / key}")


async def get(url: str, context: ssl.SSLContext, path: str = "/") -> bytes:
    """The answer to a GET over TLS."""
    host, _, port = url.removeprefix("https://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        return await reader.read()
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def refused(url: str, context: ssl.SSLContext) -> bool:
    """Whether no answer comes; with TLS 1.3 a client learns that only when it reads."""
    try:
        return not await get(url, context)
    except (ssl.SSLError, ConnectionResetError):
        return True


@pytest.mark.parametrize(
    ("command", "path"), [("serve", "/"), ("mock", "/_esinfer"), ("twin", "/health")]
)
async def test_every_server_serves_https_and_says_so(pem: Path, command: str, path: str) -> None:
    context = ssl.create_default_context(cafile=str(pem / "ca.pem"))
    async with running(command, *serves(pem)) as line:
        assert line.startswith(f"esinfer {command} listening on https://127.0.0.1:")
        assert (await get(line.split()[-1], context, path)).startswith(b"HTTP/1.1 200 ")


async def test_the_client_reaches_a_server_with_a_locked_key_by_its_ca(pem: Path) -> None:
    locked = serves(pem, "locked.key")
    async with running("mock", *locked, f"server.key_password={PASSWORD}") as line:
        url = line.split()[-1]
        async with AsyncElasticsearch(url, ca_certs=str(pem / "ca.pem")) as es:
            assert (await es.info())["tagline"] == "You Know, for Search"
        async with AsyncElasticsearch(
            url, ca_certs=str(pem / "other-ca.pem"), max_retries=0
        ) as stranger:
            with pytest.raises(Unreachable):
                await stranger.info()


async def test_a_client_without_a_certificate_is_turned_away_where_one_is_asked(pem: Path) -> None:
    files = (*serves(pem), f"server.client_ca={pem / 'ca.pem'}")
    async with running("mock", *files) as line:
        url, ca = line.split()[-1], str(pem / "ca.pem")
        crt, key = str(pem / "client.crt"), str(pem / "client.key")
        async with AsyncElasticsearch(url, ca_certs=ca, client_cert=crt, client_key=key) as known:
            assert await known.ping()
        context = ssl.create_default_context(cafile=ca)
        assert await refused(url, context)
        context.load_cert_chain(pem / "other.crt", pem / "other.key")
        assert await refused(url, context)


async def test_tls_before_1_2_and_http_2_are_not_offered(pem: Path) -> None:
    context = make_context(
        TlsFiles(certificate=str(pem / "server.crt"), key=str(pem / "server.key"))
    )
    assert context is not None
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    async with running("twin", *serves(pem)) as line:
        host, _, port = line.split("https://")[-1].partition(":")
        asks = ssl.create_default_context(cafile=str(pem / "ca.pem"))
        asks.set_alpn_protocols(["h2", "http/1.1"])
        _, writer = await asyncio.open_connection(host, int(port), ssl=asks)
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
        writer.close()
        await writer.wait_closed()


async def test_the_json_started_line_says_https(pem: Path) -> None:
    async with running("twin", *serves(pem), "logging.format=json") as line:
        assert json.loads(line)["address"].startswith("https://127.0.0.1:")


def test_certificate_and_key_may_be_in_one_file(pem: Path) -> None:
    assert make_context(TlsFiles(certificate=str(pem / "server.both.pem"))) is not None


def test_without_a_certificate_it_is_plain_http() -> None:
    assert make_context(TlsFiles(certificate="")) is None


NO_KEY = "the password is wrong, or the file is no PEM private key"


@pytest.mark.parametrize(
    ("certificate", "key", "password", "client_ca", "problem"),
    [
        ("none.crt", "server.key", "", "", "server.certificate {}/none.crt: cannot read the file"),
        ("server.crt", "none.key", "", "", "server.key {}/none.key: cannot read the file: No such"),
        (".", "server.key", "", "", "server.certificate {}/.: cannot read the file: Is a dir"),
        ("server.crt", "other.key", "", "", "server.key {0}/other.key: the key does not belong to"),
        ("server.crt", "locked.key", "no", "", f"server.key {{}}/locked.key: {NO_KEY}"),
        ("server.crt", "locked.key", "", "", f"server.key {{}}/locked.key: {NO_KEY}"),
        ("server.crt", "locked.key", "x" * 2000, "", f"server.key {{}}/locked.key: {NO_KEY}"),
        ("weak.crt", "weak.key", "", "", "server.certificate {}/weak.crt: too weak for OpenSSL"),
        ("server.crt", "junk.pem", "", "", f"server.key {{}}/junk.pem: {NO_KEY}"),
        ("junk.pem", "server.key", "", "", "server.certificate {}/junk.pem: no certificates in"),
        ("server.crt", "server.key", "", "junk.pem", "server.client_ca {}/junk.pem: no certific"),
        ("server.crt", "server.key", "", "none.pem", "server.client_ca {}/none.pem: cannot read"),
        ("a\0b", "server.key", "", "", "server.certificate: not the name of a file"),
    ],
)
def test_files_that_will_not_do_are_named(
    pem: Path, certificate: str, key: str, password: str, client_ca: str, problem: str
) -> None:
    files = TlsFiles(
        certificate=f"{pem}/{certificate}",
        key=f"{pem}/{key}",
        key_password=password,
        client_ca=client_ca and f"{pem}/{client_ca}",
    )
    with pytest.raises(TlsFileError) as raised:
        make_context(files)
    text = str(raised.value)
    assert text.startswith(problem.format(pem))
    assert "\n" not in text
    assert not password or password not in text.removeprefix(problem.format(pem))


@pytest.mark.parametrize("files", [{"key": "a.key"}, {"client_ca": "a.crt"}])
def test_a_key_without_a_certificate_is_no_way_to_serve_http(files: dict[str, str]) -> None:
    with pytest.raises(TlsFileError, match=r"need a server\.certificate"):
        make_context(TlsFiles(certificate="", **files))


@pytest.mark.parametrize("command", ["serve", "mock"])
async def test_a_credentials_file_that_is_not_there_is_exit_status_2(
    tmp_path: Path, command: str
) -> None:
    file = tmp_path / "none.toml"
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "esinfer", command, "--set", f"security.credentials={file}"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    async with asyncio.timeout(30):
        out, err = await child.communicate()
    line = f"esinfer: {file}: cannot read the file: No such file or directory\n"
    assert (child.returncode, out, err.decode()) == (2, b"", line)


async def test_wrong_files_are_one_line_and_exit_status_2(pem: Path) -> None:
    settings = (f"server.certificate={pem / 'server.crt'}", f"server.key={pem / 'other.key'}")
    options = [part for setting in settings for part in ("--set", setting)]
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "esinfer", "mock", "--port", "0", *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    async with asyncio.timeout(30):
        out, err = await child.communicate()
    line = (
        f"esinfer: server.key {pem}/other.key: the key does not belong to"
        f" server.certificate {pem}/server.crt\n"
    )
    assert (child.returncode, out, err.decode()) == (2, b"", line)
