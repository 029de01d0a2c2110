"""Where settings come from, which one wins, and what is said about a wrong one."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from typing import TYPE_CHECKING

import pytest

from esinfer.config import SETTINGS, Config, ConfigError, load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    return tmp_path / "esinfer.toml"


def error(
    conf: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Sequence[str] = (),
) -> str:
    with pytest.raises(ConfigError) as caught:
        load(conf, environ or {}, overrides)
    text = str(caught.value)
    assert text.isprintable()  # so it is one line
    return text


class TestPrecedence:
    def test_nothing_given_is_the_defaults(self) -> None:
        assert load(None, {}, []) == Config()

    def test_each_source_beats_the_one_before(self, conf: Path) -> None:
        conf.write_text("[server]\nport = 2\n")
        defaults = {"server.port": 1}
        environ = {"ESINFER_SERVER__PORT": "3"}
        overrides = ["server.port=4", "server.port=5"]

        assert load(None, {}, [], defaults).server.port == 1
        assert load(conf, {}, [], defaults).server.port == 2
        assert load(conf, environ, [], defaults).server.port == 3
        assert load(conf, environ, overrides[:1], defaults).server.port == 4
        assert load(conf, environ, overrides, defaults).server.port == 5

    def test_settings_that_a_source_leaves_out_stay(self, conf: Path) -> None:
        conf.write_text('[server]\nhost = "::1"\n[twin]\ndimensions = 3\n')
        config = load(conf, {"ESINFER_TWIN__MODEL_ID": "m"}, ["server.port=1"])
        assert (config.server.host, config.server.port) == ("::1", 1)
        assert (config.twin.dimensions, config.twin.model_id) == (3, "m")
        assert config.inference == Config().inference

    def test_an_empty_file_is_the_defaults(self, conf: Path) -> None:
        conf.write_text("")
        assert load(conf, {}, []) == Config()


class TestValues:
    def test_durations_are_seconds_and_sizes_bytes(self) -> None:
        config = Config()
        assert config.server.shutdown_timeout == 30.0
        assert config.server.max_content_length == 100 * 1024 * 1024
        assert config.inference.max_response_size == 50 * 1024 * 1024
        assert config.inference.retry_initial_delay == 1.0

    @pytest.mark.parametrize(
        ("override", "value"),
        [
            ("inference.retry_timeout=200ms", 0.2),
            ("inference.retry_timeout=0", 0.0),
            ("inference.max_response_size=1b", 1),
            ("inference.max_response_size=100mb", 100 * 1024 * 1024),
            ("inference.queue_capacity=0", 0),
            ("inference.truncator_reduction_percentage=0.01", 0.01),
            ("inference.skip_validate_and_start=true", True),
            ("inference.skip_validate_and_start=FALSE", False),
            ("elasticsearch.version=8.19.0-SNAPSHOT", "8.19.0-SNAPSHOT"),
            ("twin.api_key=a=b", "a=b"),
            ("twin.api_key=", ""),
            ("logging.format=json", "json"),
        ],
    )
    def test_text_is_read_by_the_kind_of_the_setting(self, override: str, value: object) -> None:
        section, key = override.partition("=")[0].split(".")
        for config in (
            load(None, {}, [override]),
            load(None, {f"ESINFER_{section}__{key}".upper(): override.partition("=")[2]}, []),
        ):
            read = getattr(getattr(config, section), key)
            assert read == value
            assert type(read) is type(value)

    def test_config_cannot_be_changed(self) -> None:
        config = Config()
        with pytest.raises(FrozenInstanceError):
            config.server.port = 1  # type: ignore[misc]
        with pytest.raises(FrozenInstanceError):
            config.server = config.server  # type: ignore[misc]

    def test_every_field_declares_a_setting(self) -> None:
        declared = {
            (section.name, key.name)
            for section in fields(Config)
            for key in fields(getattr(Config(), section.name))
        }
        assert declared == {(name, key) for name, keys in SETTINGS.items() for key in keys}
        assert ("server", "port") in declared


class TestFileErrors:
    def test_a_file_that_is_missing(self, conf: Path) -> None:
        assert error(conf) == f"{conf}: cannot read the file: No such file or directory"

    def test_a_directory_is_no_file(self, tmp_path: Path) -> None:
        assert error(tmp_path) == f"{tmp_path}: cannot read the file: Is a directory"

    def test_a_syntax_error_tells_its_line(self, conf: Path) -> None:
        conf.write_text("[server]\nport 9200\n")
        text = error(conf)
        assert text.startswith(f"{conf}: not valid TOML: ")
        assert "(at line 2, column 6)" in text

    def test_a_file_that_is_not_utf_8(self, conf: Path) -> None:
        conf.write_bytes(b'[server]\nhost = "\xff"\n')
        assert error(conf) == f"{conf}: not valid TOML: the file is not UTF-8 text"

    @pytest.mark.parametrize(
        ("toml", "problem"),
        [
            ("[sever]\n", "[sever] is unknown; did you mean [server]?"),
            (
                "[xyz]\n",
                f"[xyz] is unknown; did you mean {' or '.join(f'[{name}]' for name in SETTINGS)}?",
            ),
            ("port = 9200\n", "port is unknown; did you mean [server] port?"),
            ("xyz = 1\n", f"xyz is unknown; the sections are {', '.join(SETTINGS)}"),
            ("server = 1\n", "server must be a section, begun by the line [server]"),
            ("[[server]]\n", "server must be a section, begun by the line [server]"),
            ("[server]\nprot = 1\n", "[server] prot is unknown; did you mean [server] port?"),
            ("[server]\nPort = 1\n", "[server] Port is unknown; did you mean [server] port?"),
            (
                '[server]\nmax_response_size = "1b"\n',
                "[server] max_response_size is unknown; "
                "did you mean [inference] max_response_size?",
            ),
            (
                "[logging]\nxyz = 1\n",
                "[logging] xyz is unknown; the settings of logging are level, format",
            ),
            ('[logging]\n"a\\nb" = 1\n', r"[logging] a\nb is unknown; "),
            (
                '[server]\nport = "9200"\n',
                '[server] port must be a whole number from 0 to 65535, got "9200"',
            ),
            (
                "[server]\nport = true\n",
                "[server] port must be a whole number from 0 to 65535, got true",
            ),
            (
                "[server]\nport = 65536\n",
                "[server] port must be a whole number from 0 to 65535, got 65536",
            ),
            (
                '[server]\nhost = ""\n',
                '[server] host must be an address or host name such as "127.0.0.1", got ""',
            ),
            (
                "[server]\nhost = [1979-05-27, 1]\n",
                '[server] host must be an address or host name such as "127.0.0.1", '
                'got ["1979-05-27", 1]',
            ),
            (
                "[server]\nshutdown_timeout = 30\n",
                '[server] shutdown_timeout must be a duration such as "30s", got 30',
            ),
            (
                '[server]\nshutdown_timeout = "-1s"\n',
                '[server] shutdown_timeout must be a duration such as "30s", got "-1s"',
            ),
            (
                '[inference]\nmax_response_size = "0b"\n',
                '[inference] max_response_size must be a byte size such as "50mb", '
                'from "1b" to "100mb", got "0b"',
            ),
            (
                '[inference]\nskip_validate_and_start = "true"\n',
                '[inference] skip_validate_and_start must be true or false, got "true"',
            ),
            (
                "[inference]\ntruncator_reduction_percentage = nan\n",
                "[inference] truncator_reduction_percentage must be "
                "a number from 0.01 to 0.99, got NaN",
            ),
            (
                '[logging]\nformat = "xml"\n',
                '[logging] format must be one of "text", "json", got "xml"',
            ),
            (
                '[elasticsearch]\nversion = "9"\n',
                '[elasticsearch] version must be a version such as "9.5.0", got "9"',
            ),
        ],
    )
    def test_what_is_wrong_in_a_file(self, conf: Path, toml: str, problem: str) -> None:
        conf.write_text(toml)
        assert error(conf).startswith(f"{conf}: {problem}")

    def test_a_long_value_is_cut(self, conf: Path) -> None:
        conf.write_text(f'[server]\nport = "{"9" * 500}"\n')
        assert error(conf).endswith(f'got "{"9" * 56}...')


class TestTextErrors:
    @pytest.mark.parametrize(
        ("name", "value", "problem"),
        [
            (
                "ESINFER_SERVER__PROT",
                "1",
                "ESINFER_SERVER__PROT is unknown; did you mean ESINFER_SERVER__PORT?",
            ),
            (
                "ESINFER_SEVRER__HOST",
                "x",
                "ESINFER_SEVRER__HOST is unknown; did you mean ESINFER_SERVER__HOST?",
            ),
            (
                "ESINFER__PORT",
                "1",
                "ESINFER__PORT is unknown; did you mean ESINFER_SERVER__PORT?",
            ),
            (
                "ESINFER_X__Y__Z",
                "1",
                f"ESINFER_X__Y__Z is unknown; the sections are {', '.join(SETTINGS)}",
            ),
            (
                "ESINFER_SERVER_PORT",
                "1",
                "ESINFER_SERVER_PORT is unknown; did you mean ESINFER_SERVER__PORT?",
            ),
            ("ESINFER_PORT", "1", "ESINFER_PORT is unknown; did you mean ESINFER_SERVER__PORT?"),
            (
                "ESINFER___PORT",
                "1",
                "ESINFER___PORT is unknown; did you mean ESINFER_SERVER__PORT?",
            ),
            (
                "ESINFER_TWIN_API_KEY",
                "1",
                "ESINFER_TWIN_API_KEY is unknown; did you mean ESINFER_TWIN__API_KEY?",
            ),
            (
                "ESINFER_RETRY_TIMEOUT",
                "1s",
                "ESINFER_RETRY_TIMEOUT is unknown; did you mean ESINFER_INFERENCE__RETRY_TIMEOUT?",
            ),
            (
                "ESINFER_HOME",
                "x",
                f"ESINFER_HOME is unknown; the sections are {', '.join(SETTINGS)}",
            ),
            (
                "ESINFER_",
                "x",
                f"ESINFER_ is unknown; the sections are {', '.join(SETTINGS)}",
            ),
            (
                "ESINFER_SERVER__PORT",
                "",
                "ESINFER_SERVER__PORT must be a whole number from 0 to 65535, got ",
            ),
            (
                "ESINFER_INFERENCE__MAX_RESPONSE_SIZE",
                "9" * 400 + "gb",
                "ESINFER_INFERENCE__MAX_RESPONSE_SIZE must be "
                "a byte size such as 50mb, from 1b to 100mb, got ",
            ),
            (
                "ESINFER_INFERENCE__SKIP_VALIDATE_AND_START",
                "yes",
                "ESINFER_INFERENCE__SKIP_VALIDATE_AND_START must be true or false, got ",
            ),
        ],
    )
    def test_what_is_wrong_in_the_environment(self, name: str, value: str, problem: str) -> None:
        assert error(environ={name: value}).startswith(f"environment: {problem}")

    def test_variables_of_others_are_let_be(self) -> None:
        environ = {"ESINFER": "x", "ESINFERX__Y": "x", "SERVER__PORT": "x", "PATH": "x"}
        assert load(None, environ, []) == Config()

    @pytest.mark.parametrize("service", ["ESINFER", "ESINFER_MOCK"])
    def test_what_kubernetes_sets_for_a_service_of_our_name_is_let_be(self, service: str) -> None:
        address = "tcp://10.0.0.1:9200"
        environ = {
            "SERVICE_HOST": "10.0.0.1",
            "SERVICE_PORT": "9200",
            "SERVICE_PORT_HTTP": "9200",
            "PORT": address,
            "PORT_9200_TCP": address,
            "PORT_9200_TCP_PROTO": "tcp",
            "PORT_9200_TCP_PORT": "9200",
            "PORT_9200_TCP_ADDR": "10.0.0.1",
        }
        links = {f"{service}_{name}": value for name, value in environ.items()}
        assert load(None, links, []) == Config()

    @pytest.mark.parametrize("override", ["", "server.port", "port=1", "=", "server=1"])
    def test_a_malformed_set(self, override: str) -> None:
        assert error(overrides=["server.port=1", override]) == (
            "--set: number 2 must be section.key=value, as in server.port=9200"
        )

    @pytest.mark.parametrize(
        ("override", "problem"),
        [
            ("server.prot=1", "server.prot is unknown; did you mean server.port?"),
            (
                "inference.retry_timeout=5",
                'inference.retry_timeout must be a duration such as 30s, got "5"',
            ),
            (
                "server.port=9200 ok",
                'server.port must be a whole number from 0 to 65535, got "9200 ok"',
            ),
            (
                "logging.level=a\nb",
                r'logging.level must be one of debug, info, warn, error, got "a\nb"',
            ),
        ],
    )
    def test_what_is_wrong_in_a_set(self, override: str, problem: str) -> None:
        assert error(overrides=[override]) == f"--set: {problem}"


class TestSecrets:
    def test_a_secret_is_not_in_the_repr(self) -> None:
        config = load(None, {}, ["twin.api_key=hunter2"])
        assert config.twin.api_key == "hunter2"
        assert "hunter2" not in repr(config)
        assert "hunter2" not in str(config.twin)

    def test_a_secret_is_not_in_an_error(self, conf: Path) -> None:
        conf.write_text("[twin]\napi_key = 4815162342\n")
        assert error(conf) == f"{conf}: [twin] api_key must be a string in quotes"
        assert "hunter2" not in error(overrides=["twin.api_key:hunter2"])
        assert "hunter2" not in error(overrides=["twin.api_kee=hunter2"])
