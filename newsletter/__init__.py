"""Daily Headlines: a self-hosted daily newsletter for newsrooms."""

__version__ = "0.1.0"
