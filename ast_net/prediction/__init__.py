"""Predicts valence and arousal for every face in every frame of a video or a camera stream."""
