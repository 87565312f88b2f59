"""Exports the networks for servers and other runtimes; clients of such servers."""
