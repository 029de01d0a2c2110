"""The options that name a server and who asks it; none of the mistakes shows a secret."""

from __future__ import annotations

import argparse

import pytest

from esinfer import remote_options
from esinfer.cli import main
from esinfer.transfer import TransferError

pytestmark = pytest.mark.usefixtures("root_logger")
SECRET = "sEcReT-123"


def problem(*argv: str) -> str:
    """What is wrong with the options."""
    parser = argparse.ArgumentParser()
    remote_options.add_options(parser)
    with pytest.raises(TransferError) as caught:
        remote_options.remote(parser.parse_args(argv))
    return str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://a", "http://", "http://a:x", "http://a:0", "http://.example", "http://a..b"),
        *("http://a/?q=1", "http://a/#f", "http://a b/", "http://\udcff", "http://a/\udcff"),
        *(f"http://{'a' * 64}.example", "http://[::1"),
    ],
)
def test_what_is_no_address_of_a_server(url: str) -> None:
    assert problem("--url", url) == "--url must be an address such as http://localhost:9200"


@pytest.mark.parametrize("key", [f"{SECRET}\n", f"{SECRET}€", f"\t{SECRET}", f"{SECRET}\udcff"])
def test_a_key_that_no_header_can_hold_is_not_shown(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert problem("--api-key", key) == "--api-key must be printable ASCII, without line breaks"
    monkeypatch.setenv("ELASTIC_API_KEY", key)
    assert problem() == "ELASTIC_API_KEY must be printable ASCII, without line breaks"


def test_a_user_that_is_no_text_is_not_shown() -> None:
    assert problem("--user", f"{SECRET}\udcff:{SECRET}") == "--user must be UTF-8 text"


def test_nobody_may_be_there_to_ask_for_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr("getpass.getpass", ask)
    assert problem("--user", "alice") == "cannot ask for the password of alice: give NAME:PASSWORD"


def test_credentials_are_given_once() -> None:
    url = f"http://me:{SECRET}@localhost"
    once = "--url has credentials, so leave out --user and --api-key"
    assert problem("--url", url, "--user", "a:b") == once
    assert problem("--url", url, "--api-key", "b") == once


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (
            ["list", "--user", f"a:{SECRET}", "--api-key", SECRET],
            "list: argument --api-key: not allowed with argument --user",
        ),
        *(
            (
                ["list", f"--timeout={seconds}"],
                "list: argument --timeout: must be above 0 and at most 86400",
            )
            for seconds in ("0", "-1", "nan", "inf", "1e300", "x", "")
        ),
        *(
            (
                ["export", "--secrets", *option],
                "export: --secrets reads the store, so leave out --url, --user, --api-key, --ca"
                " and --timeout",
            )
            for option in (
                ["--url", "http://a"],
                ["--user", f"a:{SECRET}"],
                ["--api-key", SECRET],
                ["--ca", "a"],
                ["--timeout", "5"],
            )
        ),
        (["export", "--conf", "a"], "export: --conf and --set want --secrets"),
        (["export", "--set", "store.key=a"], "export: --conf and --set want --secrets"),
    ],
)
def test_options_that_contradict_are_refused(
    argv: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["endpoints", *argv])
    assert caught.value.code == 2
    action = argv[0]
    assert capsys.readouterr().err == (
        f"esinfer endpoints {line} (see `esinfer endpoints {action} --help`)\n"
    )
