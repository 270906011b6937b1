"""`python -m netc` is the `netc` command."""

from netc.cli.main import main

main()
