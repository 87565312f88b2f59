"""From fc6 features to valence and arousal (sections 3.3 and 3.4 of the paper)."""
