"""Documentation, and the check that it is current."""
