"""Run VisualSearch from a checkout: ``python VisualSearch.py -yml application.yaml``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "src"))

from visualsearch.cli import main  # noqa: E402  (src must be on the path first)

if __name__ == "__main__":
    sys.exit(main())
