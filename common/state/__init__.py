"""The state system: top, render, compile, requisites, plan, run; each step takes data and gives data."""
