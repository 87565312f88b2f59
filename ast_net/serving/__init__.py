"""Trained networks -> what servers and other runtimes load."""
