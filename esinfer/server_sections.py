"""The settings of a server: each section a dataclass, each setting declared once.

``config`` reads them.
"""

from __future__ import annotations

from dataclasses import dataclass

from esinfer.addresses import check_entry
from esinfer.setting import (
    choice,
    duration,
    flag,
    fraction,
    integer,
    path,
    secret,
    size,
    text,
    texts,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """Where and how ``serve``, ``mock`` and ``twin`` listen."""

    host: str = text(
        "127.0.0.1",
        'Address or host name to listen on; "0.0.0.0" is every IPv4 interface.',
        expected='an address or host name such as "127.0.0.1"',
        pattern=r"[^\x00-\x20\x7f]+",
    )
    port: int = integer(
        9200,
        "TCP port, 0 for any free one. Left out, `esinfer twin` takes 8080.",
        low=0,
        high=65535,
    )
    max_content_length: int = size(
        "100mb", "Largest request body that is accepted; a size.", low="1b", high="2gb"
    )
    shutdown_timeout: float = duration(
        "30s", "How long requests in flight may go on after SIGTERM or SIGINT; a duration."
    )
    shutdown_delay: float = duration(
        "0s", "How long /_esinfer/ready answers 503 before the server stops accepting; a duration."
    )
    workers: int = integer(
        1, "Processes that serve the port, of `serve` with a durable store.", low=1, high=256
    )
    max_inputs: int = integer(
        0, "Most inputs of one inference, each a text or document; 0 is no limit.", low=0
    )
    max_headers: int = integer(128, "Most headers of one request.", low=16, high=10_000)
    max_connections: int = integer(
        10_000, "Connections at once, one more is answered 429; 0 is no limit.", low=0
    )
    receive_timeout: float = duration(
        "2m", 'How long a client may take to send a request, "0s" is no limit; a duration.'
    )
    send_timeout: float = duration(
        "2m", 'How long a client may take nothing of an answer, "0s" is no limit; a duration.'
    )
    certificate: str = path(
        "PEM file with the certificate to serve HTTPS with, and its chain; empty is HTTP.",
        expected='the name of a PEM file such as "/etc/esinfer/server.crt"',
    )
    key: str = path(
        "PEM file with the certificate's private key; empty if the certificate's file has it.",
        expected='the name of a PEM file such as "/etc/esinfer/server.key"',
    )
    key_password: str = secret("", "Password of the private key; empty is none.")
    client_ca: str = path(
        "PEM file with the CAs of clients; with it a client must show a certificate.",
        expected='the name of a PEM file such as "/etc/esinfer/clients.crt"',
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityConfig:
    """Who may call ``serve`` and ``mock``."""

    credentials: str = path(
        "TOML file of users, API keys and tokens, one of which is asked for; empty asks none.",
        expected='the name of a file such as "/etc/esinfer/credentials.toml"',
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ElasticsearchConfig:
    """The Elasticsearch that the server claims to be."""

    version: str = text(
        "9.5.0",
        "Version of Elasticsearch that clients are told; from 9.6 on chat answers without _stream.",
        expected='a version such as "9.5.0"',
        pattern=r"\d+\.\d+\.\d+(-[A-Za-z0-9.-]+)?",
    )
    cluster_name: str = text(
        "esinfer",
        "Name of the cluster that clients are told.",
        expected='a name such as "esinfer"',
    )
    node_name: str = text(
        "esinfer",
        "Name of the node that clients are told.",
        expected='a name such as "esinfer"',
    )
    event_byte_order_mark: bool = flag(
        default=False, comment="Whether each event of a stream begins with a byte-order mark."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceConfig:
    """Elasticsearch's ``xpack.inference.*`` settings, by their last names (hugging_face.md 5.3)."""

    max_response_size: int = size(
        "50mb", "Largest answer of an upstream that is read; a size.", low="1b", high="100mb"
    )
    connect_timeout: float = duration(
        "5s", "How long connecting to an upstream may take; a duration."
    )
    max_total_connections: int = integer(50, "Connections to all upstreams together.", low=1)
    max_route_connections: int = integer(20, "Connections to one upstream host and port.", low=1)
    queue_capacity: int = integer(
        2000, "Requests that may wait in one rate limit group; 0 is no limit.", low=0
    )
    retry_initial_delay: float = duration(
        "1s",
        "Longest wait before the first retry, doubled before each further one; a duration.",
    )
    retry_max_delay_bound: float = duration(
        "5s", "What doubling the longest wait before a retry stops at; a duration."
    )
    retry_timeout: float = duration(
        "30s", 'No retry later than this after the first attempt, "0s" is no retry; a duration.'
    )
    truncator_reduction_percentage: float = fraction(
        0.5,
        "Share of each input that is kept when an upstream answers that it is too long.",
        low=0.01,
        high=0.99,
    )
    skip_validate_and_start: bool = flag(
        default=False, comment="Store new endpoints without the call that validates them."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamConfig:
    """Which upstreams ``serve`` may call; link-local and metadata addresses need a listed CIDR."""

    allow: tuple[str, ...] = texts(
        'Hosts ("a.example", "*.example"), addresses, CIDRs; empty allows all but metadata, etc.',
        expected='a list of hosts, addresses and CIDRs such as ["*.example.com", "10.0.0.0/8"]',
        check=check_entry,
    )
    allow_private: bool = flag(
        default=True, comment="Whether loopback and private addresses need no CIDR in the list."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreConfig:
    """Where ``serve`` and ``mock`` keep endpoints and the region policy."""

    kind: str = choice(
        "memory",
        '"memory", "sqlite" or "postgresql". Left out, `esinfer serve` takes "sqlite".',
        "memory",
        "sqlite",
        "postgresql",
    )
    path: str = text(
        "",
        "SQLite file; empty is esinfer/endpoints.db in $XDG_DATA_HOME, else in ~/.local/share.",
        expected='a file such as "/var/lib/esinfer/endpoints.db"',
        pattern=r"[^\x00-\x1f\x7f]*",
    )
    url: str = secret(
        "", 'PostgreSQL database, such as "postgresql://user:password@host:5432/database".'
    )
    key: str = secret(
        "", "Key that encrypts stored secrets: 32 bytes in base64. Several: the first encrypts."
    )
    key_file: str = text(
        "",
        "File with such keys, one a line, in place of `key`.",
        expected='a file such as "/etc/esinfer/keys"',
        pattern=r"[^\x00-\x1f\x7f]*",
    )
    seed: str = text(
        "",
        "TOML or JSON file with what is there at the start, see the README; --seed wins.",
        expected='a file such as "/etc/esinfer/seed.toml"',
        pattern=r"[^\x00-\x1f\x7f]*",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggingConfig:
    """What is written to standard error."""

    level: str = choice(
        "info",
        'Least severe level: "debug", "info", "warn" or "error".',
        "debug",
        "info",
        "warn",
        "error",
    )
    format: str = choice(
        "text", 'Log lines as "text" or as "json" objects; --log-format wins.', "text", "json"
    )
    access_log: bool = flag(
        default=False,
        comment="Whether every request and every refused connection is logged, at info.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsConfig:
    """What is measured and told, of `serve` and `mock`."""

    enabled: bool = flag(default=True, comment="Whether /_esinfer/metrics counts and answers.")
    server_timing: bool = flag(
        default=True, comment="Whether answers to inferences have a Server-Timing header."
    )
