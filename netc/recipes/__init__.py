"""The recipes that netc ships: a file each, as `netc train --config` takes it. Its first line says what it is for."""
