package main

// sandboxStage runs a stage of the sandbox if this process was started as one, and reports its exit code.
func sandboxStage() (code int, staged bool) { return 0, false }
