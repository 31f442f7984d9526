"""The processor, symbolically: what instructions do to registers and memory."""
