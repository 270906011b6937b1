"""The certificate: an exact check, over prime fields, that a program's gradients are the derivatives of its loss."""
