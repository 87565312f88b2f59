"""A page on this machine that predicts a webcam or a video, for one's own browser only."""
