"""Exports the networks for servers and other runtimes, and has clients for such servers."""
