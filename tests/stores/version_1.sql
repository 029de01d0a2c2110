-- A database as version 1 left it.
PRAGMA application_id = 1163086158;
BEGIN TRANSACTION;
CREATE TABLE esinfer_endpoint (
            inference_id TEXT PRIMARY KEY NOT NULL,
            configuration TEXT NOT NULL
        );
INSERT INTO "esinfer_endpoint" VALUES('first','{"task_type":"text_embedding","service":"hugging_face","service_settings":{"url":"http://h/\u00e4","rate_limit":{"requests_per_minute":7},"similarity":null,"dimensions":null,"max_input_tokens":null},"task_settings":{},"chunking_settings":{"strategy":"sentence","max_chunk_size":250,"sentence_overlap":1}}');
INSERT INTO "esinfer_endpoint" VALUES('second','{"task_type":"text_embedding","service":"hugging_face","service_settings":{"url":"http://h/\u00e4","rate_limit":{"requests_per_minute":7},"similarity":null,"dimensions":null,"max_input_tokens":null},"task_settings":{},"chunking_settings":{"strategy":"sentence","max_chunk_size":250,"sentence_overlap":1}}');
CREATE TABLE esinfer_migration (number INTEGER PRIMARY KEY NOT NULL);
INSERT INTO "esinfer_migration" VALUES(1);
CREATE TABLE esinfer_secret (
            inference_id TEXT PRIMARY KEY NOT NULL
                REFERENCES esinfer_endpoint ON DELETE CASCADE,
            key_id TEXT NOT NULL,
            content BLOB NOT NULL
        );
INSERT INTO "esinfer_secret" VALUES('first','',X'7B226170695F6B6579223A2268665F73456352655430313233343536373839227D');
INSERT INTO "esinfer_secret" VALUES('second','',X'7B226170695F6B6579223A2268665F73456352655430313233343536373839227D');
COMMIT;
