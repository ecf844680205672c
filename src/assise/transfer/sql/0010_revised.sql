-- Whether revisions own the schema of a load's tables, and which one has closed the load.
ALTER TABLE assise.load ADD is_revised bool NOT NULL DEFAULT false, ADD closed_by text;
