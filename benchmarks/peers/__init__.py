"""The peers: small apps, each the way its own documentation advises, on freshledger's tables.

All of them look a token up the same way (one query: token, membership, version), and answer the
same fifty rows with the same names of wallets, contacts and labels. Each is told by its
environment where the database is (`DATABASE_URL`, postgresql://…); each has one worker process.
"""
