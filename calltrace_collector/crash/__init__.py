"""What a crash means: the stack trace, the traced calls it is of, and the reason in one sentence."""
