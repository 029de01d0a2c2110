"""``python -m esinfer``: the same as the console script."""

import sys

from esinfer.cli import main

sys.exit(main())
