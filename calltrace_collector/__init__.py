"""Records every function call of C and C++ programs, stores them and answers questions about them."""

__version__ = "0.1.0"
