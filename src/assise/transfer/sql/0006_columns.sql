-- Where the values of each column stand.
ALTER TABLE assise.chunk
    ADD COLUMN columns jsonb;           -- table -> column -> values in cells (held, read) and in _extra by kind; null: not counted
