"""Extended JSON as others write it: version 1, version 2 and the syntax of the mongo shell.

`documents/extjson.py` and `extjson_reader.py` are for the jsonb form and for export, not for these.
"""
