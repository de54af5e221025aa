"""The known causes of a stale page, one module each: `CAUSE`, and `build`, the app that has it."""
