"""One training beside another: replayed, bisected, and the noise that rounding makes."""
