"""What debug information says of functions: parameters, types, where they are."""
