-- What version 2 added to a database of version 1, with a region policy.
BEGIN TRANSACTION;
CREATE TABLE esinfer_region_policy (
            only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
            policy TEXT NOT NULL,
            created_at TEXT NOT NULL,
            updated_at TEXT
        );
INSERT INTO "esinfer_region_policy" VALUES(1,'{"allowed_geos": ["eu"]}','2026-01-02T12:00:00.123456+00:00',NULL);
INSERT INTO "esinfer_migration" VALUES(2);
COMMIT;
