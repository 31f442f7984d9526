"""Domain records that every floor above shares, and the protocol of where they go."""
