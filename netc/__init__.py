"""netc: a network's whole training program as one StableHLO module."""

__version__ = "0.2.0"
