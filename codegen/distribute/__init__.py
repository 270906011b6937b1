"""One program on several devices."""
