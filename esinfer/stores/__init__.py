"""Durable stores of inference endpoints and of the region policy.

``opening`` chooses one by the settings; ``sqlite`` (on ``sqlite_file``,
``sqlite_tables`` and ``lane``) and ``postgresql`` (on ``database`` and
``listening``) are the adapters. What they share: ``rows`` (an endpoint as a row,
its secrets sealed by ``sealing``), ``migrations`` (the tables, version by
version), ``policies`` (the region policy as a row), ``cache`` (what was read and
has not changed since).
"""
