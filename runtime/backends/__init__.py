"""How a compiled program is loaded and called."""
