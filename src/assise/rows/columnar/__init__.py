"""The columnar path: many documents that look alike, column by column.

It is quicker and gives what the document path gives, or leaves a document to that. It is frozen:
no rule begins here, and without this folder (see `Shredder` and `Assembler`) every law holds.
"""
