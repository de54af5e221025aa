"""The movements: filters, pages, edits."""
