-- Values that stand typed in a column, with their originals in _extra.
ALTER TABLE assise.chunk
    ADD COLUMN read bigint NOT NULL DEFAULT 0;
