"""What can be asked of the database: which process, which calls, which sums."""
