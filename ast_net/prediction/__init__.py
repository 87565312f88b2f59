"""A video or a camera in, valence and arousal of every face and frame out, as they come."""
