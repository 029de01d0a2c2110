"""The sample projects run in environments of their own: ``make test-kit``."""

collect_ignore = ["python"]
