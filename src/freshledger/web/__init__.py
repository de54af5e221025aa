"""What all pages share: the session, the viewer, errors, rendering, security."""
