"""Whole fleets in virtual time: devices, links, broker and receiver from one seed (docs/simulation.md)."""
