"""What is optimised: benchmark functions, the user's own objective, and the child process that evaluates it."""
