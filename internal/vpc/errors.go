package vpc

import (
	"net/http"

	"example.com/cloister"
)

// The codes and texts are AWS's where they are known (EC2 API Reference, "Error codes", and what its clients match).

func notFound(code, format, id string) error { return cloister.Errorf(code, format, id) }

func invalidValue(format string, args ...any) error {
	return cloister.Errorf("InvalidParameterValue", format, args...)
}

func badCombination(format string, args ...any) error {
	return cloister.Errorf("InvalidParameterCombination", format, args...)
}

func missing(parameter string) error {
	return cloister.Errorf("MissingParameter", "The request must contain the parameter %s", parameter)
}

// unsupported refuses what this service does not build.
func unsupported(format string, args ...any) error {
	return cloister.Errorf("UnsupportedOperation", format, args...)
}

// inUse refuses to take away what something else needs.
func inUse(format string, args ...any) error {
	return cloister.Errorf("DependencyViolation", format, args...)
}

// noIPv6 refuses IPv6: it is closed in every VPC.
func noIPv6(what string) error {
	return unsupported("%s: IPv6 is closed in VPCs here, so nothing of it can be allowed or routed", what)
}

// dryRun ends an operation that was asked for with DryRun after every check has passed.
func dryRun(asked *bool) error {
	if asked != nil && *asked {
		return cloister.Errorf("DryRunOperation", "Request would have succeeded, but DryRun flag is set.").WithStatus(http.StatusPreconditionFailed)
	}
	return nil
}
