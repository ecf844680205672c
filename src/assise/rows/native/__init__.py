"""The native way: the inner loops in the crate `assise-native`, where that is installed.

It gives what the document path gives, byte for byte, or declines a document, which then takes the
document path.
"""
