"""Plans of how arguments and return values are captured, and the values that come of them."""
