"""Use cases between broker and database: check, commit, reply, fan out."""
