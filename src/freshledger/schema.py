"""Where the migrations are, and how the database is brought to the newest of them."""
