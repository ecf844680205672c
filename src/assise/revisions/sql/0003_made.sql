-- The schemas that a step has made, which were not there: undo drops them.
ALTER TABLE assise.step ADD COLUMN schemas text[];
