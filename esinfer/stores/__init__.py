"""Durable stores of inference endpoints and of the region policy.

``opening`` chooses one by the settings; ``sqlite`` and ``postgresql`` are the
adapters. What they share: ``rows`` (an endpoint as a row, its secrets sealed by
``sealing``), ``migrations`` (the tables, version by version), ``cache`` (what
was read and has not changed since).
"""
