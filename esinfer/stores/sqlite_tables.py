"""The statements of a SQLite store, for the one thread that has the connection."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from esinfer.endpoints import InferenceEndpoint
from esinfer.errors import EndpointAlreadyExists, StoreSealed, UpdateInProgress
from esinfer.region_policy import RegionPolicy, StoredRegionPolicy
from esinfer.stores import policies
from esinfer.stores.rows import Row, Rows
from esinfer.stores.sealing import Sealed
from esinfer.stores.sqlite_file import key_ids, transaction

# Whose secret is gone is there, and unreadable; what was put there by hand may be text or bytes.
_SELECT = """SELECT inference_id, CAST(configuration AS TEXT), coalesce(key_id, ''),
        CAST(coalesce(content, '') AS BLOB)
    FROM esinfer_endpoint LEFT JOIN esinfer_secret USING (inference_id)"""
_SELECT_POLICY = (
    "SELECT policy, created_at, updated_at, created_by, updated_by FROM esinfer_region_policy"
)


class Tables:
    """Endpoints and the region policy, as one connection sees them."""

    def __init__(self, connection: sqlite3.Connection, rows: Rows) -> None:
        self._connection = connection
        self._rows = rows

    def _endpoint(
        self, inference_id: str, configuration: str, key_id: str, content: bytes
    ) -> InferenceEndpoint:
        sealed = Sealed(key_id=key_id, content=content)
        return self._rows.to_endpoint(
            Row(inference_id=inference_id, configuration=configuration, sealed=sealed)
        )

    def get(self, inference_id: str) -> InferenceEndpoint | None:
        found = self._connection.execute(f"{_SELECT} WHERE inference_id = ?", (inference_id,))
        row = found.fetchone()
        return None if row is None else self._endpoint(*row)

    def list(self) -> list[InferenceEndpoint]:
        rows = self._connection.execute(f"{_SELECT} ORDER BY inference_id")
        return [self._endpoint(*row) for row in rows]

    def create(self, endpoint: InferenceEndpoint) -> None:
        row = self._rows.to_row(endpoint)
        with transaction(self._connection):
            self._refuse_unknown_seals()
            created = self._connection.execute(
                "INSERT INTO esinfer_endpoint VALUES (?, ?) ON CONFLICT DO NOTHING",
                (row.inference_id, row.configuration),
            )
            if not created.rowcount:
                raise EndpointAlreadyExists(inference_id=endpoint.inference_id)
            self._connection.execute(
                "INSERT INTO esinfer_secret VALUES (?, ?, ?)",
                (row.inference_id, row.sealed.key_id, row.sealed.content),
            )

    def replace(self, endpoint: InferenceEndpoint, stored: InferenceEndpoint) -> bool:
        row = self._rows.to_row(endpoint)
        with transaction(self._connection):
            self._refuse_unknown_seals()
            current = self.get(endpoint.inference_id)
            if current is None:
                return False
            if current != stored:
                raise UpdateInProgress(inference_id=endpoint.inference_id)
            self._connection.execute(
                "UPDATE esinfer_endpoint SET configuration = ? WHERE inference_id = ?",
                (row.configuration, row.inference_id),
            )
            self._connection.execute(
                "UPDATE esinfer_secret SET key_id = ?, content = ? WHERE inference_id = ?",
                (row.sealed.key_id, row.sealed.content, row.inference_id),
            )
        return True

    def _refuse_unknown_seals(self) -> None:
        """StoreSealed if another server has sealed something with a key that is not here."""
        if not self._rows.keys.open_all(key_ids(self._connection)):
            raise StoreSealed

    def delete(self, inference_id: str) -> bool:
        with transaction(self._connection):  # the secret goes with it
            deleted = self._connection.execute(
                "DELETE FROM esinfer_endpoint WHERE inference_id = ?", (inference_id,)
            )
        return deleted.rowcount > 0

    def get_policy(self) -> StoredRegionPolicy | None:
        row = self._policy_row()
        return None if row is None else policies.from_row(row)

    def _policy_row(self) -> policies.PolicyRow | None:
        row: policies.PolicyRow | None = self._connection.execute(_SELECT_POLICY).fetchone()
        return row

    def put_policy(self, policy: RegionPolicy, now: datetime, by: str | None) -> StoredRegionPolicy:
        with transaction(self._connection):
            stored = policies.after(self._policy_row(), policy, now, by)
            self._connection.execute(
                "REPLACE INTO esinfer_region_policy VALUES (1, ?, ?, ?, ?, ?)",
                policies.to_row(stored),
            )
        return stored

    def delete_policy(self) -> bool:
        with transaction(self._connection):
            deleted = self._connection.execute("DELETE FROM esinfer_region_policy")
        return deleted.rowcount > 0
