"""Kills what changes a store, at random moments, and looks what is left.

``ledger`` keeps what was acknowledged; ``store_kills`` kills a process that has
only the store, many times a second; ``server_kills`` kills `esinfer serve`
under a stream of requests. Run ``python -m tests.crash --help``.
"""
