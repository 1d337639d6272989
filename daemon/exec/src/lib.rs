//! Does one thing outside: starts, watches and ends the processes of runs.
