"""Elasticsearch's inference API as a standalone asynchronous server.

The path of ``POST /_inference/text_embedding/{id}``, a module a step::

    api/routes        the table: which function answers
    api/naming        whose request it is: the namespace, which has all that is private
    api/middleware    wraps it; settles media types, turns exceptions into bodies
    api/guard         who calls, and whether they may
    api/inference     path, timeout, body bytes
    api/schemas       JSON to a request value, or 400
    endpoints         the stored endpoint
    inference         one inference within its time: the retry and truncation loop
    limits            queue and pace of the endpoint's rate limit group
    services/…        build the upstream request; check and parse its answer (pure)
    upstream          one HTTP request out, one answer in
    tasks             the result, in wire form
    api/responses     bytes to the caller

``lifecycle`` creates, changes and removes endpoints, ``stores`` keeps them;
``chunked`` cuts inputs into the chunks of ``chunking`` and runs an inference
for each batch; ``namespaces`` keeps what is private apart, ``journal`` notes
what happens, ``metrics`` counts it, ``clock`` is the only time there is.
``app`` joins the parts, ``workers`` runs several of it; ``twin`` stands in for
Hugging Face, ``replay`` records what the real one says and says it again;
``seeds`` puts there what a file says; ``api/openapi`` describes all routes;
``testing`` is for test suites, and ``pytest_plugin`` brings it to pytest.
Imports run one way: app, api, namespaces, lifecycle and chunked, inference,
journal, services, metrics, limits, upstream and stores, endpoints, tasks, the
formats (``object_parser``, ``json_reader``, ``json_schema``, ``java``,
``units``), ``errors``.
"""

__version__ = "0.1.0"
