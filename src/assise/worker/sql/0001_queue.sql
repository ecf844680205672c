-- The version of procrastinate whose tables lie beside this one.
CREATE TABLE assise.queue (
    procrastinate text NOT NULL
);
