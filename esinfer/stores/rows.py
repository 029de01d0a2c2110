"""An endpoint as a row: its configuration in the open, its secrets sealed.

How an endpoint is written as text is its service's affair, and told by a
``Codec``; here the secrets are sealed and opened.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Protocol

from esinfer.endpoints import InferenceEndpoint
from esinfer.errors import EndpointSealed, EndpointUnreadable
from esinfer.stores import texts
from esinfer.stores.errors import StoreError
from esinfer.stores.sealing import KeyMissing, Keys, Sealed, UnsealError

_LOGGER = logging.getLogger(__name__)
_REMEMBERED = 16_384
"""So many endpoints, each as its row was last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An endpoint as two JSON texts, all that cannot be rebuilt from elsewhere."""

    inference_id: str
    configuration: str
    secrets: str = field(repr=False)


class Codec(Protocol):
    """Writes and reads endpoints: ``load(dump(endpoint)) == endpoint``."""

    def dump(self, endpoint: InferenceEndpoint) -> Record:
        """The endpoint as text."""

    def load(self, record: Record) -> InferenceEndpoint:
        """The endpoint; ValueError if the texts are not those of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An endpoint as a database holds it."""

    inference_id: str
    configuration: str
    sealed: Sealed


class Rows:
    """Turns endpoints into rows and back."""

    def __init__(self, codec: Codec, keys: Keys) -> None:
        self._codec = codec
        self.keys = keys
        self.renewals = 0
        """How many secrets have been sealed anew."""
        self._known: dict[str, tuple[Row, InferenceEndpoint]] = {}

    def to_row(self, endpoint: InferenceEndpoint) -> Row:
        record = self._codec.dump(endpoint)
        return Row(
            inference_id=record.inference_id,
            configuration=record.configuration,
            sealed=self.keys.seal(record.inference_id, record.secrets.encode()),
        )

    def to_endpoint(self, row: Row) -> InferenceEndpoint:
        """The endpoint; EndpointUnreadable if the row is damaged or a newer esinfer's.

        EndpointSealed, which is one, if another server has sealed it with a key of its own.
        It is read once: most rows of a list are those of the list before.
        """
        known = self._known.get(row.inference_id)
        if known is not None and known[0] == row:
            return known[1]
        endpoint = self._read(row)
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[row.inference_id] = row, endpoint
        return endpoint

    def _read(self, row: Row) -> InferenceEndpoint:
        try:
            texts.check(row.configuration)
            secrets = self.keys.unseal(row.inference_id, row.sealed).decode()
            return self._codec.load(
                Record(
                    inference_id=row.inference_id,
                    configuration=row.configuration,
                    secrets=secrets,
                )
            )
        except KeyMissing:
            raise EndpointSealed(inference_id=row.inference_id) from None
        except ValueError as error:  # its text may quote what is secret
            _LOGGER.error(  # noqa: TRY400 -- as above
                "stored inference endpoint [%s] cannot be read: %s",
                row.inference_id,
                type(error).__name__,
            )
            raise EndpointUnreadable(inference_id=row.inference_id) from None

    def renewed(self, inference_id: str, sealed: Sealed) -> Sealed:
        """The same content, sealed with the first key; StoreError if it is damaged."""
        try:
            content = self.keys.unseal(inference_id, sealed)
        except UnsealError as error:
            raise StoreError(
                f"the secret of stored inference endpoint [{inference_id}] cannot be decrypted, so"
                " nothing is encrypted anew; start with the keys as they were and DELETE the"
                " endpoint with force=true"
            ) from error
        self.renewals += 1
        return self.keys.seal(inference_id, content)
