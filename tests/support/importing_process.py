"""An import in a process of its own, so that it can be killed: python -m tests.support.importing_process CONFIG ID."""

from __future__ import annotations

import sys
from pathlib import Path

from newsletter.foundation import leases
from newsletter.foundation.clock import the_clock
from newsletter.foundation.secrets import the_keys
from newsletter.operations import assembling
from newsletter.subscribers import import_runs
from newsletter.subscribers.import_models import Import


def told(one: Import) -> None:
    sys.stdout.write(f"{one.rows}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    import_runs.BATCH = 1000
    with assembling.ready(Path(sys.argv[1])).app_context():
        import_runs.work(int(sys.argv[2]), leases.holder_here(), the_clock(), the_keys(), progress=told)
