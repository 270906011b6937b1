"""`python -m netc` is the `netc` command."""

from netc.cli.start import main

main()
