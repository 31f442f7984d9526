"""The general registers by DWARF number, and what the calls of functions do with them.

Source: System V ABI, AMD64 supplement, sections 3.2.1 (which are preserved), 3.2.3 (which hold arguments and
results) and 3.6.2 (DWARF's numbers).
"""

from __future__ import annotations

RAX, RDX, RCX, RBX, RSI, RDI, RBP, RSP = range(8)

PRESERVED = (RBX, RBP, RSP, 12, 13, 14, 15)
"""After a call they are as before."""

CHANGED = (RAX, RDX, RCX, RSI, RDI, 8, 9, 10, 11)
"""Any function may change them."""

ARGUMENTS = (RDI, RSI, RDX, RCX, 8, 9)
"""What holds arguments, in their order."""

RESULTS = (RAX, RDX)
"""What holds results, in the order of their words."""
