"""Where things lie in a project's folder, and what the builder's workers find in their environment."""

STATE = ".modelbuild"
DIST = "dist"
STALE = "dist/.stale"
REPORTS = "reports"
STALE_REPORTS = "reports/.stale"
RECORDED = f"{STATE}/recorded"  # what checks of the staged content keep beside the work tree's builds
MIRROR_LOCK = f"{RECORDED}/mirror.lock"
PASSED = f"{RECORDED}/passed"  # what a check of a manifest has read, in a file for each manifest
# One core a worker: `-j` is what bounds the machine, and no result may depend on a thread count.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
}
