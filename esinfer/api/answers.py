"""The answers' schemas, for the documentation: what a 200 holds, and an error.

Source: rest.md sections 2.6, 3.3, 4, 6.5, 7.1 and 9, interface.md.
"""

from __future__ import annotations

from esinfer.json_schema import Json, Named, any_of, array, record
from esinfer.tasks import TaskType

TEXT: Json = {"type": "string"}
INTEGER: Json = {"type": "integer"}
NUMBER: Json = {"type": "number"}
FLOAT = any_of(NUMBER, {"enum": ["Infinity", "-Infinity", "NaN"]})
"""One of 32 bits; JSON has no number for what is beyond them, and Java writes its word."""
FLAG: Json = {"type": "boolean"}
OBJECT: Json = {"type": "object"}
TASK_TYPE = Named("TaskType", {"enum": [str(each) for each in TaskType if each != TaskType.ANY]})

# -- errors -----------------------------------------------------------------

CAUSE = Named(
    "ErrorCause",
    {
        "type": "object",
        "description": "An exception of Elasticsearch; some have members of their own.",
        "properties": {
            "type": TEXT,
            "reason": TEXT,
            "root_cause": array(OBJECT),
            "caused_by": {"$ref": "#/components/schemas/ErrorCause"},
            "stack_trace": {**TEXT, "description": "With `error_trace=true`."},
        },
        "required": ["type", "reason"],
    },
)
ENVELOPE = Named(
    "ErrorEnvelope",
    record({"error": {"allOf": [CAUSE, {"required": ["root_cause"]}]}, "status": INTEGER}),
)
BARE_ERROR = Named("BareError", record({"error": TEXT}, {"status": INTEGER}))
CHAT_ERROR = Named(
    "ChatError",
    record({"error": record({"message": TEXT}, {"code": TEXT, "type": TEXT, "param": TEXT})}),
)
ERROR = Named("Error", any_of(ENVELOPE, BARE_ERROR))
INFERENCE_ERROR = Named("InferenceError", any_of(ENVELOPE, BARE_ERROR, CHAT_ERROR))
"""Chat completion has the form of OpenAI's errors."""

# -- answers that several routes share --------------------------------------

ACKNOWLEDGED = Named("Acknowledged", record({"acknowledged": FLAG}))
EMBEDDING = array(FLOAT)
WEIGHTS: Json = {**OBJECT, "description": "Token to weight.", "additionalProperties": FLOAT}
CHUNK = {"start_offset": INTEGER, "end_offset": INTEGER, "text": TEXT}
"""Members of a chunk; offsets count UTF-16 code units."""
NODES = record({"total": INTEGER, "successful": INTEGER, "failed": INTEGER})

# -- inference --------------------------------------------------------------

TEXT_EMBEDDING = Named(
    "TextEmbeddingResult", record({"text_embedding": array(record({"embedding": EMBEDDING}))})
)
SPARSE_EMBEDDING = Named(
    "SparseEmbeddingResult",
    record(
        {"sparse_embedding": array(record({"is_truncated": FLAG, "embedding": WEIGHTS}))},
    ),
)
RERANK = Named(
    "RerankResult",
    record({"rerank": array(record({"index": INTEGER, "relevance_score": FLOAT}, {"text": TEXT}))}),
)
COMPLETION = Named("CompletionResult", record({"completion": array(record({"result": TEXT}))}))
CHAT_COMPLETION = Named(
    "ChatCompletionResult",
    {
        "type": "object",
        "description": "OpenAI's `chat.completion`; without `_stream` only from 9.6 on.",
        "properties": {
            "id": TEXT,
            "choices": array(OBJECT),
            "model": TEXT,
            "object": TEXT,
            "usage": {"type": ["object", "null"]},
        },
        "required": ["choices"],
    },
)
INFERENCE = any_of(TEXT_EMBEDDING, SPARSE_EMBEDDING, RERANK, COMPLETION, CHAT_COMPLETION)

# -- services ---------------------------------------------------------------

SERVICES = array(
    Named(
        "ServiceDescription",
        record(
            {
                "service": TEXT,
                "name": TEXT,
                "task_types": array(TASK_TYPE),
                "configurations": {
                    **OBJECT,
                    "additionalProperties": record(
                        {
                            "label": TEXT,
                            "required": FLAG,
                            "sensitive": FLAG,
                            "updatable": FLAG,
                            "type": TEXT,
                            "supported_task_types": array(TASK_TYPE),
                        },
                        {"description": TEXT, "default_value": {}},
                    ),
                },
            }
        ),
    )
)
