"""Mixed load through a failing upstream: every answer is checked, nothing may leak.

``questions`` knows what is asked and what is right, ``load`` asks, ``servers``
starts and watches the processes, ``faults`` is what goes wrong. Run
``python -m tests.soak --help``.
"""
