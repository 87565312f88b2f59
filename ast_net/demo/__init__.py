"""Generates the demo data set: videos of a warped portrait and the ratings of simulated raters."""
