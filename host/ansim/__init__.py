"""Ansim's host tools: flash, provision, simulate and watch devices, and receive their alarms."""
