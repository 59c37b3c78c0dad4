"""Execution modules, one flat file for each tool."""
