"""Runners: functions that run on the master."""
