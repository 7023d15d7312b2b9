"""Where the figures in docs/performance.md come from. A speed is a ratio against something real in the same run."""
