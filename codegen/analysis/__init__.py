"""What a program costs and holds, told from its IR before anything is compiled."""
