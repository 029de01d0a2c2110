"""How fast esinfer is beside bare aiohttp: ``python -m tests.bench``."""
