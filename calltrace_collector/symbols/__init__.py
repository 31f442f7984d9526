"""Names and source lines for addresses, from ELF symbol tables and DWARF; resolver is the way in."""
