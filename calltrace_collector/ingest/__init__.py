"""From the agents' streams, and from what dead processes left behind, to the store."""
