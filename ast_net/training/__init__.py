"""Records to a trained and evaluated model (sections 4.2 to 4.4 of the paper)."""
