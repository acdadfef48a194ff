"""All SQL. Functions take a session, never commit, and return rows; moves of state are guarded UPDATEs."""
