"""Extended JSON of others read a second time, by verify; it shares no code with the first reader."""
