"""`python -m modelbuild` is the command."""

import sys

from modelbuild.cli.main import main

sys.exit(main())
