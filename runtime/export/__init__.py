"""A run taken elsewhere: its weights under other names, and its net with the weights inside for other runtimes."""
