"""Steps that others wrote, as functions to prove."""
