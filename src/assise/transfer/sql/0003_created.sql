-- How far a load has begun: its tables may be too many for one transaction.
ALTER TABLE assise.load
    ADD COLUMN created int;             -- how many of its tables there are, in the layout's order; null when all are
