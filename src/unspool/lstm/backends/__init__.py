"""The backends of the recurrence, a file each; `unspool.lstm.dispatch` chooses one."""
