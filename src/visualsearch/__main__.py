"""``python -m visualsearch`` is the command ``visualsearch``."""

import sys

from visualsearch.cli import main

sys.exit(main())
