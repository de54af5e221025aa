"""People, sign-in, invitations and tokens."""
