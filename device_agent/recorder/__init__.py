"""What was streamed, kept on this computer for those who ask for it: a spool of windows, and files made of it."""
