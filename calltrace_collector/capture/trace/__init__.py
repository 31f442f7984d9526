"""From a function's entry to its hook, and from the hook to the return."""
