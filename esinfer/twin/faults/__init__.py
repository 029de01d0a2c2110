"""What can go wrong with an upstream: each fault a pure function from a call to a delivery.

``answers`` replaces the answer, ``bodies`` and ``events`` change it, ``wire``
breaks the connection; ``kinds`` is the table with their names and parameters,
``fault`` the value that counts and matches.
"""
