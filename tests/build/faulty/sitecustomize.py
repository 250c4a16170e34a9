"""Found by every Python that has this folder in PYTHONPATH: workers get the fault they are told."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from faults import install_from_environment

install_from_environment()
