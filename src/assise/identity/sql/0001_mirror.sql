-- Users of auth.users whose copy failed: the sign-up went on, and `assise identity repair` tries again.
CREATE TABLE assise.mirror_failure (
    "table" text NOT NULL,
    user_id uuid NOT NULL,
    state text NOT NULL,                -- SQLSTATE
    message text NOT NULL,
    failed_at timestamptz NOT NULL DEFAULT now()
);
