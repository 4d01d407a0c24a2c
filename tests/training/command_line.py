"""The command line with training's state kept every half second, not every thirty: a test waits for it to be kept."""

import sys
from functools import partial

from isthmus.apps.cli import main
from isthmus.estimator import fitting

fitting.Plan = partial(fitting.Plan, checkpoint_seconds=0.5)

if __name__ == "__main__":
    sys.exit(main())
