"""What a program takes on this machine: time, memory, and the forms that are fastest."""
