"""C as a target: a module of the IR as C11 that trains with nothing but a compiler and libm."""
