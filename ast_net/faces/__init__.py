"""From video to aligned faces (section 3.1 of the paper)."""
